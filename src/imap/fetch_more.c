/* FETCH items of extensions: PREVIEW (RFC 8970), SAVEDATE (RFC 8514), EMAILID and THREADID (RFC 8474). */
#include "imap/fetch.h"
#include "imap/objectid.h"
#include "mail/date.h"

/* PREVIEW's modifiers. All previews are made when the message comes in, so that LAZY changes nothing. */
bool imap_take_preview(struct imap_args *a)
{
	slice word;

	if (imap_args_peek(a) != ' ')
		return true;
	struct imap_args ahead = *a;
	if (!imap_take_sp(&ahead) || imap_args_peek(&ahead) != '(')
		return true; /* the blank before the next item */
	*a = ahead;
	if (!imap_take_c(a, '('))
		return false;
	do {
		if (!imap_take_word(a, &word))
			return false;
		if (!slice_ieq(word, S("LAZY")))
			return imap_args_fail(a, "that PREVIEW modifier is not known");
	} while (imap_args_peek(a) == ' ' && imap_take_sp(a));
	return imap_take_c(a, ')');
}

static void write_preview(struct imap_session *s, const struct imap_item *item)
{
	buf_addz(&s->out, " PREVIEW ");
	imap_write_string(&s->out, item->summary.preview, s->rev2 || s->utf8);
}

static void write_saved(struct imap_session *s, const struct imap_item *item)
{
	buf_addz(&s->out, " SAVEDATE ");
	if (item->saved_us == 0) {
		buf_addz(&s->out, "NIL");
		return;
	}
	mail_date_imap_write(&s->out, (struct mail_date){.utc_s = item->saved_us / 1000000});
}

void imap_fetch_more(struct imap_session *s, const struct imap_item *item, unsigned items)
{
	if (items & FETCH_PREVIEW)
		write_preview(s, item);
	if (items & FETCH_SAVEDATE)
		write_saved(s, item);
	if (items & FETCH_EMAILID) {
		buf_addz(&s->out, " EMAILID (");
		imap_emailid_write(&s->out, s->box.account, item->entry.message);
		buf_add_c(&s->out, ')');
	}
	if (items & FETCH_THREADID)
		buf_addz(&s->out, " THREADID NIL"); /* messages are not grouped in the store: RFC 8474 5.2 */
}
