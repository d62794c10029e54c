#include "imap/capability.h"
#include "base/cleanup.h"

enum when {
	EARLY = 1,    /* before login */
	STARTTLS = 2, /* before login, while TLS can be started */
	OPEN = 4,     /* before login, where passwords are taken */
	CLOSED = 8,   /* before login, where they are not */
	LATE = 16,    /* after login */
	SCRAM = 32,   /* before login, where SCRAM is taken */
	PLUS = 64,    /* and bound to the channel */
};

static const struct {
	slice name;
	unsigned when;
} capabilities[] = {
	{SLICE_INIT("IMAP4rev1"), EARLY | LATE},
	{SLICE_INIT("IMAP4rev2"), EARLY | LATE},
	{SLICE_INIT("LITERAL+"), EARLY | LATE},
	{SLICE_INIT("SASL-IR"), EARLY},
	{SLICE_INIT("ID"), EARLY | LATE},
	{SLICE_INIT("ENABLE"), EARLY | LATE},
	{SLICE_INIT("STARTTLS"), STARTTLS},
	{SLICE_INIT("LOGINDISABLED"), CLOSED},
	{SLICE_INIT("AUTH=SCRAM-SHA-256-PLUS"), PLUS},
	{SLICE_INIT("AUTH=SCRAM-SHA-256"), SCRAM},
	{SLICE_INIT("AUTH=PLAIN"), OPEN},
	{SLICE_INIT("AUTH=LOGIN"), OPEN},
	{SLICE_INIT("IDLE"), EARLY | LATE},
	{SLICE_INIT("NAMESPACE"), LATE},
	{SLICE_INIT("NOTIFY"), LATE},
	{SLICE_INIT("CHILDREN"), LATE},
	{SLICE_INIT("SPECIAL-USE"), LATE},
	{SLICE_INIT("CREATE-SPECIAL-USE"), LATE},
	{SLICE_INIT("LIST-EXTENDED"), LATE},
	{SLICE_INIT("LIST-STATUS"), LATE},
	{SLICE_INIT("LIST-MYRIGHTS"), LATE},
	{SLICE_INIT("LIST-METADATA"), LATE},
	{SLICE_INIT("METADATA"), LATE}, /* METADATA-SERVER is part of it: RFC 5464 1 */
	{SLICE_INIT("STATUS=SIZE"), LATE},
	{SLICE_INIT("UNSELECT"), LATE},
	{SLICE_INIT("UIDPLUS"), LATE},
	{SLICE_INIT("MOVE"), LATE},
	{SLICE_INIT("ESEARCH"), LATE},
	{SLICE_INIT("SEARCHRES"), LATE},
	{SLICE_INIT("MULTISEARCH"), LATE},
	{SLICE_INIT("WITHIN"), LATE},
	{SLICE_INIT("PARTIAL"), LATE},
	{SLICE_INIT("SORT"), LATE},
	{SLICE_INIT("SORT=DISPLAY"), LATE},
	{SLICE_INIT("THREAD=ORDEREDSUBJECT"), LATE},
	{SLICE_INIT("THREAD=REFERENCES"), LATE},
	{SLICE_INIT("ESORT"), LATE},
	{SLICE_INIT("I18NLEVEL=1"), LATE},
	{SLICE_INIT("CONDSTORE"), LATE},
	{SLICE_INIT("QRESYNC"), LATE},
	{SLICE_INIT("UIDONLY"), LATE},
	{SLICE_INIT("BINARY"), LATE},
	{SLICE_INIT("PREVIEW"), LATE},
	{SLICE_INIT("SAVEDATE"), LATE},
	{SLICE_INIT("OBJECTID"), LATE},
	{SLICE_INIT("COMPRESS=DEFLATE"), LATE},
	{SLICE_INIT("INPROGRESS"), LATE},
	{SLICE_INIT("ACL"), LATE},
	{SLICE_INIT("RIGHTS=texk"), LATE},
	{SLICE_INIT("QUOTA"), LATE},
	{SLICE_INIT("QUOTA=RES-STORAGE"), LATE},
	{SLICE_INIT("MULTIAPPEND"), LATE},
	{SLICE_INIT("CATENATE"), LATE},
	{SLICE_INIT("REPLACE"), LATE},
	{SLICE_INIT("UTF8=ACCEPT"), LATE},
};

static void list(struct buf *out, unsigned when)
{
	bool blank = false;

	for (size_t i = 0; i < COUNT_OF(capabilities); i++) {
		if (!(capabilities[i].when & when))
			continue;
		if (blank)
			buf_add_c(out, ' ');
		buf_add(out, capabilities[i].name);
		blank = true;
	}
}

void imap_capability_login(struct buf *out, struct imap_capable now)
{
	list(out, EARLY | (now.starttls ? STARTTLS : 0u) | (now.login ? OPEN : CLOSED) |
			  (now.login && now.scram ? SCRAM : 0u) | (now.login && now.scram_plus ? PLUS : 0u));
}

void imap_capability_session(struct buf *out, uint64_t appendlimit, uint32_t messagelimit)
{
	list(out, LATE);
	buf_addz(out, " APPENDLIMIT=");
	buf_add_u64(out, appendlimit);
	if (messagelimit == 0)
		return;
	buf_addz(out, " MESSAGELIMIT=");
	buf_add_u64(out, messagelimit);
}
