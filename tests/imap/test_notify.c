/* NOTIFY's arguments (RFC 5465 8): tables of what is taken, as what, and what is not. */
#include "imap/notify.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char filter_letters[] = "sdipubm"; /* by enum notify_filter: b subtree, u subscribed */

/* "p:NE b(Lists,misc):N": groups in the order of the command; " fetch" and the like behind. */
static void write_spec(struct buf *out, const struct notify_spec *spec)
{
	static const char event_letters[] = "NEFAMSXY";
	const struct notify_group *list[64];
	size_t n = 0;

	if (spec->none)
		buf_addz(out, "none ");
	if (spec->status)
		buf_addz(out, "status ");
	if (spec->has_selected) {
		buf_addf(out, "%c:", spec->delayed ? 'd' : 's');
		for (unsigned i = 0; i < 8; i++)
			if (spec->selected & 1u << i)
				buf_add_c(out, event_letters[i]);
		buf_add_c(out, ' ');
	}
	for (const struct notify_group *g = spec->groups; g; g = g->next)
		list[n++] = g;
	while (n-- > 0) {
		buf_add_c(out, filter_letters[list[n]->filter]);
		for (const struct notify_name *name = list[n]->names; name; name = name->next)
			buf_addf(out, "(%.*s)", name->place.account ? (int)name->place.path.n : 1,
				name->place.account ? name->place.path.p : "?");
		buf_add_c(out, ':');
		for (unsigned i = 0; i < 8; i++)
			if (list[n]->events & 1u << i)
				buf_add_c(out, event_letters[i]);
		buf_add_c(out, ' ');
	}
	if (spec->has_fetch)
		buf_addf(out, "fetch %u%s ", spec->fetch.items, spec->fetch.sections ? "+" : "");
	if (spec->unsupported)
		buf_addz(out, "unsupported ");
}

static const struct {
	const char *in, *out; /* out: NULL is BAD */
} table[] = {
	{" NONE", "none "},
	{" none", "none "},
	{" NONE  ", "none "},
	{" NONE x", NULL},
	{" NONE (personal NONE)", NULL},
	{"", NULL},
	{" ", NULL},
	{" SET", NULL},
	{" SET ", NULL},
	{" SOME (personal NONE)", NULL},
	{" SET STATUS", NULL},
	{" SET STATUS (personal NONE)", "status p: "},
	{" SET status (personal none)", "status p: "},
	{" SET STATE (personal NONE)", NULL},
	{" SET STATUS(personal NONE)", NULL},
	{" SET (selected (MessageNew MessageExpunge))", "s:NE "},
	{" SET (SELECTED (messagenew MESSAGEEXPUNGE flagchange))", "s:NEF "},
	{" SET (selected-delayed (MessageNew MessageExpunge))", "d:NE "},
	{" SET (selected NONE)", "s: "},
	{" SET (selected (NONE))", "s: unsupported "}, /* as an event no one knows it */
	{" SET (selected ())", NULL},
	{" SET (selected)", NULL},
	{" SET ()", NULL},
	{" SET (somewhere NONE)", NULL},
	{" SET personal NONE", NULL},
	{" SET (personal MessageNew MessageExpunge)", NULL}, /* erratum 1804: parentheses */
	/* Only one of the two, and only once: 6.1. */
	{" SET (selected NONE) (selected NONE)", NULL},
	{" SET (selected NONE) (selected-delayed NONE)", NULL},
	/* Only events of messages there: 6.1. */
	{" SET (selected (MailboxName))", NULL},
	{" SET (selected-delayed (MessageNew MessageExpunge SubscriptionChange))", NULL},
	{" SET (selected (ServerMetadataChange))", NULL},
	/* MessageNew and MessageExpunge together, and beside FlagChange and AnnotationChange: 5. */
	{" SET (personal (MessageNew))", NULL},
	{" SET (personal (MessageExpunge))", NULL},
	{" SET (personal (FlagChange))", NULL},
	{" SET (personal (MessageNew FlagChange))", NULL},
	{" SET (personal (MessageExpunge FlagChange))", NULL},
	{" SET (personal (AnnotationChange))", NULL},
	{" SET (personal (MessageExpunge MessageNew FlagChange))", "p:NEF "},
	/* Not known here: NO, not BAD (3.1). */
	{" SET (personal (MessageNew MessageExpunge AnnotationChange))", "p:NEA unsupported "},
	{" SET (personal (Sunrise))", "p: unsupported "},
	{" SET (personal (MailboxMetadataChange ServerMetadataChange))", "p:XY "},
	{" SET (inboxes (MailboxName SubscriptionChange))", "i:MS "},
	{" SET (subscribed (MailboxName)) (personal (SubscriptionChange))", "u:M p:S "},
	/* Names. */
	{" SET (mailboxes INBOX (MailboxName))", "m(INBOX):M "},
	{" SET (mailboxes inbox (MailboxName))", "m(INBOX):M "},
	{" SET (mailboxes (INBOX) (MailboxName))", "m(INBOX):M "},
	{" SET (mailboxes (a \"b c\" d) (MailboxName))", "m(d)(b c)(a):M "},
	{" SET (subtree Lists (MessageNew MessageExpunge))", "b(Lists):NE "},
	{" SET (subtree \"Entw&APw-rfe\" NONE)", "b(Entw\303\274rfe): "},
	{" SET (mailboxes \"&bad\" NONE)", "m(?): "}, /* names nothing */
	{" SET (mailboxes (MailboxName))", NULL},
	{" SET (mailboxes () (MailboxName))", NULL},
	{" SET (mailboxes (a b (MailboxName))", NULL},
	{" SET (mailboxes (MailboxName) (MailboxName))", "m(MailboxName):M "},
	{" SET (subtree % (MailboxName))", NULL},
	{" SET (subtree \"%\" (MailboxName))", "b(%):M "}, /* no wildcard: 6.6 */
	{" SET (personal x (MailboxName))", NULL},
	/* What to fetch. */
	{" SET (selected (MessageNew (UID) MessageExpunge))", "s:NE fetch 1 "},
	{" SET (selected (MessageExpunge MessageNew (UID FLAGS)))", "s:NE fetch 3 "},
	{" SET (selected (MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)) "
	 "(subtree Lists (MessageNew MessageExpunge))",
		"s:NE b(Lists):NE fetch 1+ "},
	{" SET (selected (MessageNew () MessageExpunge))", NULL},
	{" SET (selected (MessageNew (ALL) MessageExpunge))", NULL}, /* a macro is no fetch-att */
	{" SET (selected (MessageNew (SUNSET) MessageExpunge))", NULL},
	{" SET (selected (MessageNew (UID) MessageNew (UID) MessageExpunge))", NULL},
	{" SET (selected (MessageNew UID MessageExpunge))", "s:NE unsupported "},
	{" SET (personal (MessageNew (UID) MessageExpunge))", NULL},
	{" SET (personal (MailboxName)) x", NULL},
	{" SET (personal (MailboxName))(inboxes NONE)", NULL},
	{" SET (personal (MailboxName)", NULL},
};

static bool parse(struct arena *arena, const char *text, struct notify_spec *ret)
{
	struct imap_part part = {.text = slice_of(text)};
	struct imap_command command = {.first = &part};
	struct imap_session s = {.arena = arena, .account = 1};
	struct imap_args a = imap_args_of(&command, arena);
	bool good = imap_take_notify(&s, &a, ret);

	assert_true(good == !a.why);
	return good;
}

static void arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct arena *arena = arena_new(1 << 20);
		struct notify_spec spec = {0};
		struct buf out = BUF_INIT(10000);
		bool good = parse(arena, table[i].in, &spec);

		if (good != (table[i].out != NULL))
			fail_msg("%s: %s", table[i].in, good ? "taken" : "refused");
		if (good) {
			write_spec(&out, &spec);
			if (!slice_eq(buf_slice(&out), slice_of(table[i].out)))
				fail_msg("%s: %.*s", table[i].in, (int)out.n, out.p);
		}
		buf_free(&out);
		arena_free(arena);
	}
}

/* Any prefix of a good command is refused or is good, too, and reads nothing behind its end. */
static void prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		for (size_t n = 0; n < strlen(table[i].in); n++) {
			struct arena *arena = arena_new(1 << 20);
			struct notify_spec spec = {0};
			char *exact = malloc(n + 1);

			memcpy(exact, table[i].in, n);
			exact[n] = 0;
			(void)parse(arena, exact, &spec);
			free(exact);
			arena_free(arena);
		}
	}
}

static void many_names(void **state)
{
	struct arena *arena = arena_new(4 << 20);
	struct buf b = BUF_INIT(1 << 20);
	struct notify_spec spec = {0};

	(void)state;
	buf_addz(&b, " SET (mailboxes (");
	for (int i = 0; i < 2000; i++)
		buf_addf(&b, "%sm%d", i ? " " : "", i);
	buf_addz(&b, ") NONE)");
	buf_add_c(&b, 0);
	assert_true(parse(arena, b.p, &spec));
	assert_int_equal(spec.n, 2001); /* over the limit: the command says NO [NOTIFICATIONOVERFLOW] */
	buf_free(&b);
	arena_free(arena);
}

/* BADEVENT lists what is known, nothing else. */
static void badevent(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	imap_write_badevent(&b);
	assert_true(slice_eq(buf_slice(&b),
		S("BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange "
		  "MailboxMetadataChange ServerMetadataChange)")));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(many_names),
		cmocka_unit_test(badevent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
