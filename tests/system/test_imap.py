"""IMAP as clients see it: imaplib, and a raw client where it matters what stands on the wire."""
import base64
import imaplib
import os
import re
import ssl
import sys
import threading
import time

from harness import House, check, contains, equal, joined, main, text_of, wait_until

MULTIPART = (b"From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>\r\nTo: alice@example.test, \"B, Ob\" <bob@example.test>\r\n"
             b"Cc: c@example.org\r\nSubject: =?utf-8?b?5L2g5aW9?=\r\nDate: Mon, 01 Jan 2024 12:00:00 +0100\r\n"
             b"Message-ID: <m1@example.org>\r\nIn-Reply-To: <m0@example.org>\r\nMIME-Version: 1.0\r\n"
             b"Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\nprologue\r\n--b1\r\n"
             b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nfirst part \xe4\xbd\xa0\r\n"
             b"--b1\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: in@example.org\r\n\r\ninner body\r\n"
             b"--b1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
             b"Content-Disposition: attachment; filename=a.pdf\r\n\r\nAAAA\r\n--b1--\r\nepilogue\r\n")


def message(subject, text="text\r\n", sender="a@example.org"):
    return (f"From: {sender}\r\nTo: alice@example.test\r\nSubject: {subject}\r\nDate: Tue, 02 Jan 2024 08:00:00 +0000\r\n"
            f"\r\n{text}").encode()


def fresh(h, name, messages=0, user="alice"):
    """A mailbox of this test alone, selected."""
    t = h.imap(user)
    t.command(f"DELETE {name}")
    t.ok(f"CREATE {name}")
    for i in range(messages):
        t.append(message(f"number {i + 1}", f"body of {i + 1}\r\n"), name)
    t.ok(f"SELECT {name}")
    return t


# ---- logging in ----

def test_greeting_and_capabilities(h):
    with h.imap(None) as t:
        check(t.greeting.startswith("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 "), t.greeting)
        before = t.ok("CAPABILITY")[0][0].split()
        for word in ("STARTTLS", "AUTH=PLAIN", "SASL-IR", "LITERAL+", "ID", "ENABLE", "IDLE"):
            contains(before, word)
        t.no("SELECT INBOX", word="BAD")
        t.ok(f'LOGIN alice "{h.users["alice"]}"')
        contains(t.status_line, "[CAPABILITY ")
        after = t.ok("CAPABILITY")[0][0].split()
        for word in ("IMAP4rev1", "IMAP4rev2", "UIDPLUS", "MOVE", "UNSELECT", "NAMESPACE", "CHILDREN", "SPECIAL-USE",
                     "LIST-EXTENDED", "LIST-STATUS", "ESEARCH", "IDLE", "ENABLE", "ID", "LITERAL+"):
            contains(after, word)
        check("STARTTLS" not in after and "AUTH=PLAIN" not in after, after)
        t.no('LOGIN alice "x"', word="BAD")
        t.logout()


def test_login_by_both_names(h):
    for name in ("alice", "alice@example.test", "Alice@Example.TEST"):
        with h.imap(None) as t:
            t.ok(f'LOGIN {name} "{h.users["alice"]}"')
    with h.imap(None) as t:
        t.no('LOGIN alice wrong', "AUTHENTICATIONFAILED")
        a = t.command("LOGIN nobody wrong")[0]
        equal(a, t.command("LOGIN bob wrong")[0], "unknown user and wrong password")
        secret = h.users["bob"].encode()
        t.ok(b"LOGIN {3+}\r\nbob {%d+}\r\n%s" % (len(secret), secret))


def test_authenticate(h):
    secret = base64.b64encode(f"\0alice\0{h.users['alice']}".encode()).decode()
    with h.imap(None) as t:
        t.ok(f"AUTHENTICATE PLAIN {secret}")
    with h.imap(None) as t:
        tag = t.start("AUTHENTICATE PLAIN")
        contains(t.line(), "+")
        t.put("*")
        check(t.finish(tag)[0].startswith("BAD"), "cancelling")
        tag = t.start("AUTHENTICATE PLAIN")
        contains(t.line(), "+")
        t.put(secret)
        check(t.finish(tag)[0].startswith("OK"), "with a continuation")


def test_tls(h):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with imaplib.IMAP4_SSL("127.0.0.1", h.ports["imaps"], ssl_context=context) as m:
        check("STARTTLS" not in m.capabilities, m.capabilities)
        m.login("alice", h.users["alice"])
        equal(m.select("INBOX")[0], "OK")
    with imaplib.IMAP4("127.0.0.1", h.ports["imap"]) as m:
        m.starttls(context)
        m.login("alice", h.users["alice"])
        equal(m.append("INBOX", None, None, message("over tls"))[0], "OK")
        equal(m.select("INBOX")[0], "OK")
        big = message("large over tls", "0123456789abcdef\r\n" * 100000)
        equal(m.append("INBOX", "\\Seen", None, big)[0], "OK")
        equal(m.select("INBOX")[0], "OK")
        n = m.search(None, "ALL")[1][0].split()[-1]
        equal(m.fetch(n, "(BODY.PEEK[])")[1][0][1] == big, True, "the large message as it was appended")


def test_injection_behind_starttls(h):
    with h.imap(None) as t:
        t.send(b"a1 STARTTLS\r\na2 LOGIN alice x\r\n")
        got = t.rest()
        check(b"a2" not in got and b"a1 BAD" in got, got)


def test_commands_behind_login(h):
    """A pipelining client: what follows LOGIN in one segment goes along to the session."""
    for tls in (False, True):
        with h.imap(None, "imaps" if tls else "imap") as t:
            t.send(f'a1 LOGIN alice "{h.users["alice"]}"\r\na2 SELECT INBOX\r\na3 NOOP\r\n')
            for tag in ("a1", "a2", "a3"):
                contains(t.finish(tag)[0], "OK")


# ---- reading ----

def test_fetch_variants(h):
    with fresh(h, "Fetch") as t:
        status, _ = t.append(MULTIPART, "Fetch", "(\\Seen $Work)")
        check(re.search(r"\[APPENDUID \d+ 1\]", status), status)
        t.ok("NOOP")
        equal(t.body(1), MULTIPART, "BODY[]")
        one = text_of(t.fetch(1, "(UID FLAGS RFC822.SIZE INTERNALDATE)")[1])
        contains(one, f"RFC822.SIZE {len(MULTIPART)}")
        contains(one, "UID 1")
        check("\\Seen" in one and "$Work" in one, one)
        check(re.search(r'INTERNALDATE "[ \d]\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"', one), one)
        envelope = text_of(t.fetch(1, "ENVELOPE")[1])
        for part in ('"Mon, 01 Jan 2024 12:00:00 +0100"', '=?utf-8?b?5L2g5aW9?=', '"juergen" "example.org"',
                     '"alice" "example.test"', '"<m0@example.org>"', '"<m1@example.org>"'):
            contains(envelope, part)
        structure = text_of(t.fetch(1, "BODYSTRUCTURE")[1])
        for part in ('"MIXED"', '"RFC822"', '"PDF"', '("BOUNDARY" "b1")', '("FILENAME" "a.pdf")'):
            contains(structure.upper() if part.isupper() else structure.replace("boundary", "BOUNDARY").replace(
                "filename", "FILENAME"), part)

        def section(name):
            pieces = t.fetch(1, f"BODY.PEEK[{name}]")[1]
            return next((p for p in pieces if isinstance(p, bytes)), None) or text_of(pieces)

        equal(section("1"), b"first part \xe4\xbd\xa0", "BODY[1]")
        contains(section("2.HEADER"), b"Subject: inner")
        equal(section("2.1"), b"inner body", "BODY[2.1]")
        contains(section("2.TEXT"), b"inner body")
        equal(section("3.MIME")[:13], b"Content-Type:")
        contains(section("HEADER.FIELDS (Subject X-None)"), b"Subject: =?utf-8?b?5L2g5aW9?=\r\n\r\n")
        check(b"Subject" not in section("HEADER.FIELDS.NOT (Subject)"), "HEADER.FIELDS.NOT")
        equal(section("HEADER") + section("TEXT"), MULTIPART, "HEADER and TEXT")
        equal(t.fetch(1, "BODY.PEEK[]<10.20>")[1][1], MULTIPART[10:30], "a part by octets")
        contains(t.fetch(1, "BODY.PEEK[]<10.20>")[1][0], "BODY[]<10>")
        check("ENVELOPE" in text_of(t.fetch(1, "ALL")[1]) and "BODY (" in text_of(t.fetch(1, "FULL")[1]), "macros")
        contains(text_of(t.fetch(1, "RFC822.HEADER")[1]), "Subject")
        t.bad("FETCH 1 NONSENSE")
        t.bad("FETCH 2 FLAGS")
        equal(t.ok("UID FETCH 99 FLAGS"), [], "a UID that is not there")


def test_body_sets_seen(h):
    with fresh(h, "Seen", 2) as t:
        t.fetch(1, "BODY.PEEK[]")
        check("\\Seen" not in text_of(t.fetch(1, "FLAGS")[1]), "PEEK set \\Seen")
        contains(text_of(t.fetch(1, "BODY[TEXT]")[1]), "\\Seen")
        t.ok("EXAMINE Seen")
        t.fetch(2, "BODY[]")
        check("\\Seen" not in text_of(t.fetch(2, "FLAGS")[2]), "\\Seen was set in a read-only mailbox")
        t.no("STORE 1 +FLAGS (\\Seen)", "READ-ONLY")


def test_many_messages_in_order(h):
    with fresh(h, "Many", 120) as t:
        got = t.fetch("1:*", "(UID ENVELOPE)")
        equal(sorted(got), list(range(1, 121)))
        for n, r in got.items():
            contains(text_of(r), f'"number {n}"')
        equal(sorted(t.fetch("3,5:7,120,*", "UID")), [3, 5, 6, 7, 120])
        equal(sorted(t.fetch("7:5", "UID")), [5, 6, 7])


# ---- writing ----

def test_store(h):
    with fresh(h, "Store", 3) as t:
        contains(joined(t.ok("STORE 1:2 +FLAGS (\\Flagged $Label1)")), "\\Flagged")
        equal(t.ok("STORE 1 +FLAGS.SILENT (\\Seen)"), [], "what .SILENT says")
        flags = text_of(t.fetch(1, "FLAGS")[1])
        check("\\Flagged" in flags and "$Label1" in flags and "\\Seen" in flags, flags)
        t.ok("STORE 1 -FLAGS (\\Flagged)")
        check("\\Flagged" not in text_of(t.fetch(1, "FLAGS")[1]), "a flag that was taken off")
        t.ok("STORE 1 FLAGS (\\Answered)")
        equal(text_of(t.fetch(1, "FLAGS")[1]), "* 1 FETCH (FLAGS (\\Answered))")
        t.ok("UID STORE 3 +FLAGS (\\Draft)")
        contains(text_of(t.fetch(3, "FLAGS")[3]), "\\Draft")
        t.bad("STORE 9 +FLAGS (\\Seen)")


def test_expunge(h):
    with fresh(h, "Expunge", 5) as t:
        t.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        equal([r[0] for r in t.ok("EXPUNGE")], ["* 4 EXPUNGE", "* 2 EXPUNGE"])
        equal(sorted(re.search(r"UID (\d+)", text_of(r)).group(1) for r in t.fetch("1:*", "UID").values()),
              ["1", "3", "5"])
        t.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        equal([r[0] for r in t.ok("UID EXPUNGE 3")], ["* 2 EXPUNGE"])
        t.ok("CLOSE")
        contains(joined(t.ok("STATUS Expunge (MESSAGES UIDNEXT)")), "MESSAGES 0 UIDNEXT 6")


def test_all_are_seen_around_holes(h):
    with fresh(h, "Holes", 70) as t:
        t.ok("STORE 2,24,40:42,65 +FLAGS.SILENT (\\Deleted)")
        t.ok("EXPUNGE")
        left = [n for n in range(1, 71) if n not in (2, 24, 40, 41, 42, 65)]
        for what in ("1:*", "1,2:64"):
            uids = [int(re.search(r"UID (\d+)", text_of(r)).group(1)) for r in t.fetch(what, "UID").values()]
            equal(uids, left, f"FETCH {what}")
        equal([int(n) for n in t.ok("UID SEARCH ALL")[0][0].split()[2:]], left)
        equal(len(t.fetch("1:*", "BODY.PEEK[]")), 64)
        t.ok("COPY 1:* INBOX")
        contains(t.status_line, " 1,3:23,25:39,43:64,66:70 ")


def test_copy_and_move(h):
    with fresh(h, "From", 4) as t:
        t.command("DELETE To")
        t.ok("CREATE To")
        t.ok("STORE 2 +FLAGS.SILENT (\\Flagged $Kept)")
        t.ok("COPY 2:3 To")
        check(re.search(r"\[COPYUID \d+ 2:3 1:2\]", t.status_line), t.status_line)
        gone = t.ok("MOVE 1,4 To")
        contains(joined(gone), "[COPYUID ")
        equal(sorted(r[0] for r in gone if "EXPUNGE" in r[0]), ["* 1 EXPUNGE", "* 4 EXPUNGE"])
        t.no("COPY 1 Nowhere", "TRYCREATE")
        t.ok("UID MOVE 99 To")
        t.ok("SELECT To")
        equal([b"number %d\r\n" % n in t.body(i + 1) for i, n in enumerate((2, 3, 1, 4))], [True] * 4, "order")
        flags = text_of(t.fetch(1, "FLAGS")[1])
        check("\\Flagged" in flags and "$Kept" in flags, flags)


def test_append(h):
    with fresh(h, "App") as t:
        t.no("APPEND Nowhere {3+}\r\nabc", "TRYCREATE")
        status, untagged = t.append(message("dated"), "App", '(\\Flagged) "05-Feb-2020 10:11:12 +0200"')
        contains(status, "APPENDUID")
        contains(joined(untagged), "1 EXISTS")
        contains(text_of(t.fetch(1, "INTERNALDATE")[1]), '" 5-Feb-2020 10:11:12 +0200"')
        t.ok(b"APPEND App {%d+}\r\n%s" % (len(message("plus")), message("plus")))
        t.no("APPEND App {60000000}", "")
        t.ok("NOOP")


def test_search(h):
    with fresh(h, "Search", 3) as t:
        t.append(MULTIPART, "Search")
        t.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")

        def found(what):
            return [int(n) for n in t.ok(f"SEARCH {what}")[0][0].split()[2:]]

        equal(found("ALL"), [1, 2, 3, 4])
        equal(found("FLAGGED"), [2])
        equal(found("NOT FLAGGED"), [1, 3, 4])
        equal(found('SUBJECT "number 3"'), [3])
        equal(found('BODY "body of 1"'), [1])
        equal(found('OR SUBJECT "number 1" FLAGGED'), [1, 2])
        equal(found('CHARSET UTF-8 SUBJECT {6+}\r\n\u4f60\u597d'), [4])
        equal(found("CC c@example.org"), [4])
        equal(found("SENTON 1-Jan-2024"), [4])
        equal(found("LARGER 500"), [4])
        equal(found("UID 2:3 SMALLER 100000"), [2, 3])
        equal(found('HEADER Message-ID "m1"'), [4])
        equal(found('TEXT "inner body"'), [4])
        got = text_of(t.ok("SEARCH RETURN (MIN MAX COUNT ALL) ALL")[0])
        for part in ("MIN 1", "MAX 4", "COUNT 4", "ALL 1:4", "* ESEARCH (TAG "):
            contains(got, part)
        contains(text_of(t.ok("UID SEARCH RETURN () FLAGGED")[0]), "UID ALL 2")
        t.no("SEARCH CHARSET KLINGON ALL", "BADCHARSET")
        t.bad("SEARCH NONSENSE")


# ---- mailboxes ----

def test_mailbox_life(h):
    with h.imap() as t:
        for name in ("L/b/c", "L/b", "L"):
            t.command(f"DELETE {name}")
        t.ok("CREATE L/b/c")
        listed = joined(t.ok('LIST "" L*'))
        for name in ("L", "L/b", "L/b/c"):
            check(re.search(rf'"/" "{name}"$', listed, re.M), name, listed)
        equal(len(t.ok('LIST "" L/%')), 1)
        contains(joined(t.ok('LIST "" L/b')), "\\HasChildren")
        contains(joined(t.ok('LIST "" L/b/c')), "\\HasNoChildren")
        equal(text_of(t.ok('LIST "" ""')[0]), '* LIST (\\Noselect) "/" ""')
        t.no("CREATE L/b", "ALREADYEXISTS")
        t.no("CREATE INBOX")
        t.no("DELETE INBOX")
        t.no("DELETE L/nothing", "NONEXISTENT")
        t.ok("RENAME L/b L/d")
        listed = joined(t.ok('LIST "" L*'))
        check('"L/d/c"' in listed and '"L/b' not in listed, listed)
        t.ok("SUBSCRIBE L/d")
        contains(joined(t.ok('LSUB "" L*')), "L/d")
        contains(joined(t.ok('LIST (SUBSCRIBED) "" L*')), "L/d")
        t.ok("UNSUBSCRIBE L/d")
        equal(t.ok('LSUB "" L*'), [])
        t.ok("DELETE L/d/c")
        t.no("SELECT L/d/c", "NONEXISTENT")


def test_utf7_names(h):
    with h.imap() as t:
        t.command('DELETE "&ZeVnLIqe-/Entw&APw-rfe"')
        t.command('DELETE "&ZeVnLIqe-"')
        t.ok('CREATE "&ZeVnLIqe-/Entw&APw-rfe"')
        contains(joined(t.ok('LIST "" *')), "&ZeVnLIqe-/Entw&APw-rfe")
        contains(h.cli("mailbox", "list", "alice@example.test", text=True), "\u65e5\u672c\u8a9e/Entw\u00fcrfe")
        t.ok("ENABLE IMAP4rev2")
        contains(joined(t.ok('LIST "" *')), "\u65e5\u672c\u8a9e/Entw\u00fcrfe")
        t.ok('SELECT "\u65e5\u672c\u8a9e/Entw\u00fcrfe"')
        t.ok("CLOSE")


def test_status_and_list_status(h):
    with fresh(h, "Stat", 3) as t:
        t.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        one = joined(t.ok("STATUS Stat (MESSAGES UNSEEN UIDNEXT UIDVALIDITY SIZE)"))
        for part in ("MESSAGES 3", "UNSEEN 2", "UIDNEXT 4"):
            contains(one, part)
        size = sum(int(re.search(r"SIZE (\d+)", text_of(r)).group(1)) for r in t.fetch("1:3", "RFC822.SIZE").values())
        contains(one, f"SIZE {size}")
        listed = joined(t.ok('LIST "" Stat RETURN (STATUS (MESSAGES) CHILDREN)'))
        contains(listed, '* STATUS "Stat" (MESSAGES 3)')


def test_special_use_and_namespace(h):
    with h.imap() as t:
        equal(text_of(t.ok("NAMESPACE")[0]), '* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL')
        listed = joined(t.ok('LIST "" *'))
        for use in ("Drafts", "Sent", "Trash", "Junk", "Archive"):
            check(re.search(rf"\\{use}.*{use}", listed), use, listed)
        equal(len(t.ok('LIST (SPECIAL-USE) "" *')), 5)
        contains(joined(t.ok('ID ("name" "test")')), "Posthouse")


def test_uidvalidity_is_new_for_a_new_mailbox(h):
    def validity(t):
        return int(re.search(r"UIDVALIDITY (\d+)", joined(t.ok("STATUS V (UIDVALIDITY)"))).group(1))

    with fresh(h, "V", 1) as t:
        first = validity(t)
        t.ok("UNSELECT")
        t.ok("DELETE V")
        t.ok("CREATE V")
        check(validity(t) > first, "UIDVALIDITY did not grow")


def test_select_answers(h):
    with fresh(h, "Sel", 2) as t:
        got = joined(t.ok("SELECT Sel"))
        for part in ("* FLAGS (", "[PERMANENTFLAGS (", "\\*", "* 2 EXISTS", "[UIDVALIDITY ", "[UIDNEXT 3]"):
            contains(got, part)
        contains(t.status_line, "[READ-WRITE]")
        t.ok("EXAMINE Sel")
        contains(t.status_line, "[READ-ONLY]")
        t.no("SELECT Nothing", "NONEXISTENT")
        t.bad("FETCH 1 FLAGS")  # a failed SELECT leaves none selected
        t.ok("SELECT Sel")
        t.ok("UNSELECT")
        t.bad("EXPUNGE")


# ---- hearing of others ----

def idle(t):
    tag = t.start("IDLE")
    contains(t.line(), "+")
    return tag


def test_idle_hears_a_delivery(h):
    for service in ("imap", "imaps"):
        with h.imap(service=service, select="INBOX") as t:
            n = t.count()
            tag = idle(t)
            for k in range(3):
                began = time.monotonic()
                h.send(body=f"Subject: wake {k}\r\n\r\nx\r\n")
                while t.line() != f"* {n + 1 + k} EXISTS":
                    pass
                took = time.monotonic() - began
                check(took < 1, f"heard {took:.2f} s after the message was sent")
            t.put("DONE")
            contains(t.finish(tag)[0], "OK")


def test_idle_hears_another_session(h):
    with fresh(h, "Shared", 3) as t, h.imap(select="Shared") as other:
        tag = idle(t)
        other.ok("STORE 2 +FLAGS (\\Flagged)")
        got = t.line()
        check(got.startswith("* 2 FETCH") and "\\Flagged" in got, got)
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        contains(t.line(), "* 1 FETCH")
        other.ok("EXPUNGE")
        equal(t.line(), "* 1 EXPUNGE")
        other.append(message("new"), "Shared")
        contains(t.line(), "3 EXISTS")
        t.put("DONE")
        contains(t.finish(tag)[0], "OK")
        t.bad("DONE")


def test_no_news_but_of_ones_own_expunge(h):
    """Who wants no news of the selected mailbox is told what it expunges itself, once; others' views are their own."""
    with fresh(h, "Deaf", 3) as first, h.imap(select="Deaf") as other:
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        first.ok("NOOP")
        first.ok("NOTIFY SET (personal (MailboxName))")
        other.ok("NOOP")
        contains(joined(first.ok("EXPUNGE")), "* 1 EXPUNGE")
        equal([text_of(r) for r in first.ok("FETCH 1:* UID")], ["* 1 FETCH (UID 2)", "* 2 FETCH (UID 3)"])
        equal([text_of(r) for r in other.ok("UID FETCH 2:3 UID")], ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)", "* 1 EXPUNGE"])
        got = joined(first.ok("NOTIFY SET (selected (MessageNew MessageExpunge))"))
        check("EXPUNGE" not in got, got)
        equal(len(first.ok("FETCH 1:* UID")), 2)


def test_search_of_damaged_mail(h):
    """What cannot be read is found nowhere, and said; nothing is saved then (RFC 5182 2.1)."""
    own = House(PROGRAM)
    own.check_store = False
    for word in ("whole", "broken"):
        own.send(body=f"Subject: {word}\r\n\r\na {word} text\r\n")
    with own.imap(select="INBOX") as t:
        t.ok("SEARCH RETURN (SAVE) ALL")
        with open(os.path.join(own.dir, "data", "store", "volumes", "00000001.vol"), "r+b") as f:
            f.seek(f.read().index(b"a broken text"))
            f.write(b"X")
        contains(joined(t.ok("SEARCH $")), "* SEARCH 1 2")
        equal(joined(t.no("SEARCH TEXT whole")), "* SEARCH 1")
        contains(joined(t.ok("SEARCH $")), "* SEARCH 1 2")
        t.no("SEARCH RETURN (SAVE) TEXT whole", code="CORRUPTION")
        equal(joined(t.ok("SEARCH $")), "* SEARCH")
        t.ok("SEARCH RETURN (SAVE) ALL")
        t.no("SORT RETURN (SAVE) (SIZE) UTF-8 BODY whole")
        equal(joined(t.ok("SEARCH $")), "* SEARCH")


def test_expunge_is_not_told_amid_fetch(h):
    with fresh(h, "Late", 4) as t, h.imap(select="Late") as other:
        other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        got = t.ok("FETCH 2:4 UID")
        check(not any("EXPUNGE" in text_of(r) for r in got), "EXPUNGE amid FETCH by numbers:", got)
        numbers = [(m.group(1), m.group(2)) for r in got
                   for m in [re.match(r"\* (\d+) FETCH \(UID (\d+)\)", text_of(r))] if m]
        equal(numbers, [("2", "2"), ("3", "3"), ("4", "4")])
        contains(joined(t.ok("NOOP")), "* 1 EXPUNGE")


def test_mailbox_deleted_under_a_session(h):
    """BYE, not EXPUNGE of all: whoever keeps copies must not throw them away. The command's answer still comes."""
    for command in ("NOOP", "UID FETCH 1:* FLAGS", "IDLE", "STORE 1 +FLAGS (\\Seen)", "UID MOVE 1:* INBOX"):
        with fresh(h, "Gone", 2) as t, h.imap() as other:
            tag = t.start("IDLE") if command == "IDLE" else None
            if tag:
                contains(t.line(), "+ ", "IDLE")
            other.ok("DELETE Gone")
            tag = tag or t.start(command)
            said = t.rest().decode()
            contains(said, "* BYE the selected mailbox was deleted", command)
            check("EXPUNGE" not in said, command, said)
            check(command == "IDLE" or f"\r\n{tag} " in said, command, said)
    with fresh(h, "Gone", 2) as t:  # by itself
        contains(joined(t.ok("DELETE Gone")), "[CLOSED]")
        t.bad("FETCH 1 FLAGS")
        t.ok("SELECT INBOX")
    with fresh(h, "Gone", 2) as t, h.imap() as other:  # its name stays for its child
        other.ok("CREATE Gone/child")
        other.ok("DELETE Gone")
        contains(t.rest().decode() if t.start("NOOP") else "", "* BYE")
        other.ok("DELETE Gone/child")
        other.command("DELETE Gone")


def test_many_idlers_and_senders(h):
    """Each of ten idling sessions hears all of twenty messages that come at once."""
    sessions = [h.imap("bob", select="INBOX") for _ in range(10)]
    n = sessions[0].count()
    tags = [idle(t) for t in sessions]

    def send():
        for k in range(5):
            h.send("bob", f"Subject: {k}\r\n\r\nx\r\n")

    senders = [threading.Thread(target=send) for _ in range(4)]
    for s in senders:
        s.start()
    for s in senders:
        s.join()
    for t, tag in zip(sessions, tags):
        while t.line() != f"* {n + 20} EXISTS":
            pass
        t.put("DONE")
        contains(t.finish(tag)[0], "OK")
        t.close()


# ---- bad input ----

def test_literals(h):
    with h.imap() as t:
        t.command("CREATE {70000}")
        got = t.command("NOOP")[0]
        contains(got, "OK")
        status, _ = t.command("APPEND INBOX {4294967296}")
        check(status.startswith("NO") or status.startswith("BAD"), status)
        t.ok("NOOP")
        status, _ = t.command("APPEND INBOX {99999999999999999999}")
        check(status[:2] in ("NO", "BA"), status)
        t.ok("NOOP")
        t.put("a99 APPEND INBOX {4294967296+}")
        got = t.rest()
        check(b"BYE" in got or b"NO" in got or b"BAD" in got, got)
    with h.imap(None) as t:
        t.put("a1 LOGIN {4294967296+}")
        got = t.rest()
        contains(got, b"BYE")
    with h.imap() as t:  # a literal without its plus sign is asked for first
        tag = t.start("CREATE {4}")
        contains(t.line(), "+")
        t.put("Lit1")
        contains(t.finish(tag)[0], "OK")
        tag = t.start("DELETE {4+}\r\nLit1")
        contains(t.finish(tag)[0], "OK")


def test_errors_have_answers(h):
    with h.imap(select="INBOX") as t:
        for line in ("", "x", "* NOOP", "a1", "a1 FOO", "a1 FETCH", "a1 FETCH a FLAGS", "a1 STORE 1 FLAGS",
                     'a1 LIST "" "unfinished', "a1 SELECT", "a1 UID", "a1 UID NOOP", "a1 SEARCH", "a1 FETCH 0 FLAGS"):
            t.put(line)
            got = t.line()
            check(" BAD " in got, f"{line!r}: {got}")
        t.ok("NOOP")


def test_too_many_errors(h):
    with h.imap() as t:
        t.send(b"a FOO\r\n" * 30)
        got = t.rest()
        contains(got, b"* BYE ")
        check(got.count(b"BAD") <= 21, "answers:", got.count(b"BAD"))


def test_connections_end(h):
    """Neither a logout nor a lost client leaves a connection open."""
    def open_now():
        return sum(r.get("connections", 0) for r in h.status()["roles"])

    wait_until(lambda: open_now() == 0, what="the end of earlier connections")
    for end in ("logout", "close", "vanish"):
        for user in ("alice", None):
            for service in ("imap", "imaps"):
                getattr(h.imap(user, service), end)()
    wait_until(lambda: open_now() == 0, what="the end of these connections")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
