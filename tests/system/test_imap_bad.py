"""What clients get wrong: every command with each argument missing, doubled, replaced, in the wrong state; everything at
its limit and beyond. Always a tagged answer with a text that says something, never a disconnect for a slip."""
import re
import sys
import time

from harness import check, contains, equal, main

# command, whether it needs a selected mailbox. Arguments are parted by single blanks on the first level.
COMMANDS = [
    ("CAPABILITY", False), ("NOOP", False), ("ID NIL", False), ("ENABLE CONDSTORE", False), ("NAMESPACE", False), ("CHECK", True),
    ("SELECT box", False), ("EXAMINE box", False), ("UNSELECT", True), ("CLOSE", True), ('LIST "" *', False), ('LSUB "" *', False),
    ("CREATE made", False), ("DELETE made", False), ("RENAME made made2", False), ("SUBSCRIBE box", False),
    ("UNSUBSCRIBE box", False), ("STATUS box (MESSAGES UIDNEXT)", False), ('GETQUOTA ""', False), ("GETQUOTAROOT box", False),
    ('SETQUOTA "" (STORAGE 1)', False), ("FETCH 1 FLAGS", True), ("UID FETCH 1 (FLAGS BODY.PEEK[HEADER])", True),
    ("FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", True), ("UID FETCH 1:* FLAGS (PARTIAL 1:2)", True),
    ("STORE 1 +FLAGS (\\Seen)", True), ("UID STORE 1 (UNCHANGEDSINCE 5) FLAGS.SILENT (a)", True), ("SEARCH ALL", True),
    ("SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR SEEN NOT DELETED", True), ("UID SEARCH UID 1:*", True),
    ("SORT (DATE) UTF-8 ALL", True), ("UID SORT RETURN (COUNT) (REVERSE FROM SUBJECT) UTF-8 ALL", True),
    ("THREAD REFERENCES UTF-8 ALL", True), ("ESEARCH IN (mailboxes box) RETURN (COUNT) ALL", False), ("COPY 1 box", True),
    ("UID MOVE 4294967295 box", True), ("EXPUNGE", True), ("UID EXPUNGE 1", True), ("REPLACE 1 box {1+}", True),
    ("APPEND box (\\Seen) \" 1-Jan-2026 00:00:00 +0000\" {1+}", False), ("GETACL box", False), ("MYRIGHTS box", False),
    ("LISTRIGHTS box bob", False), ("SETACL box bob lr", False), ("DELETEACL box bob", False),
    ("GETMETADATA box /private/comment", False), ("SETMETADATA box (/private/comment NIL)", False),
    ("NOTIFY SET (personal (MessageNew))", False), ("NOTIFY NONE", False), ("COMPRESS GZIP", False),
    ("STARTTLS", False), ("LOGIN a b", False), ("AUTHENTICATE PLAIN", False), ("UID", False), ("UID NOOP", False), ("BOGUS x", False),
]
WRONG = [b"", b"(", b")", b"()", b'"', b'""', b'"a', b"{", b"{1", b"{x}", b"{-1}", b"~", b"*", b"%", b"\\", b"\\*", b"0", b"-1",
         b"1:", b":1", b"1,", b"4294967296", b"99999999999999999999", b"NIL", b"\x80\xff", b"\x01", b"[]", b"a" * 5000, b"(" * 300,
         b"((a)", b"a\tb", b"$", b"<0.1>", b"{0+}", b'"\\x"', b"BODY[", b"UTF-9", b"RETURN"]


def words(command):
    """On the first level of parentheses and quotes."""
    out, word, depth, quoted = [], "", 0, False
    for c in command:
        quoted ^= c == '"'
        depth += (c == "(") - (c == ")")
        if c == " " and not depth and not quoted:
            out.append(word)
            word = ""
        else:
            word += c
    return [w.encode() for w in out + [word]]


class Session:
    """Comes again when it made too many errors, and only then."""

    def __init__(self, h, select):
        self.h, self.select, self.n = h, select, 0
        self.t = h.imap("alice", select=select)

    def run(self, line):
        self.n += 1
        tag = f"t{self.n}"
        self.t.put(tag.encode() + b" " + line)
        got = []
        while True:
            try:
                r = self.t.response()
            except EOFError:
                check(any("BYE too many errors" in g[0] for g in got), "disconnected after", line[:200], got[-1:])
                self.t = self.h.imap("alice", select=self.select)
                return "BAD", "too many errors"
            if r[0].startswith("+ ") or r[0] == "+":  # it wants a literal, or to idle: nothing more to see
                self.t.close()
                self.t = self.h.imap("alice", select=self.select)
                return "+", ""
            got.append(r)
            if r[0].startswith(tag + " "):
                _, status, text = r[0].split(" ", 2)
                check(status in ("OK", "NO", "BAD"), r)
                check(len(re.sub(r"^\[[^]]*\] ", "", text)) > 1, "a text that says something:", r)
                return status, text
            if r[0].startswith("* BAD"):  # no tag could be read
                return "BAD", r[0]


def bad(t, command):
    """BAD, and the session goes on: what is right makes up for what was wrong."""
    t.bad(command)
    t.ok("NOOP")


def test_slips(h):
    """Some wrong commands in a row end the session with a word, wrong ones among right ones do not."""
    with h.imap("alice") as t:
        for _ in range(200):
            bad(t, "BOGUS")
        said = b""
        for _ in range(200):
            t.put("x BOGUS")
            if t.line().startswith("* BYE too many errors"):
                break
        else:
            check(False, "200 errors in a row are let through", said)
        t.ended()


def test_arguments(h):
    with h.imap("alice") as t:
        t.ok("CREATE box")
        for _ in range(3):
            t.append("Subject: x\r\n\r\nb\r\n", "box")
    counts = {}
    s, unselected = Session(h, "box"), Session(h, None)
    for command, needs in COMMANDS:
        parts = words(command)
        variants = [parts[:i] + parts[i + 1:] for i in range(1, len(parts))]
        variants += [parts[:i] + [parts[i]] + parts[i:] for i in range(1, len(parts))]
        variants += [parts[:i] + [w] + parts[i + 1:] for i in range(1, len(parts)) for w in WRONG]
        variants += [parts + [w] for w in (b"x", b"()", b'"', b"1", b"(a (b))")]
        for v in variants:
            if v[0].upper() in (b"CLOSE", b"UNSELECT", b"LOGOUT", b"SELECT", b"EXAMINE", b"EXPUNGE", b"IDLE", b"DELETE", b"RENAME"):
                if len(v) == 1 or v[1] == b"box":
                    continue  # right ones that would end what is tested
            line = b" ".join(v)
            if re.search(rb"\{\d+\+\}$", line):
                line += b"\r\n" + (b"x" if line.endswith(b"{1+}") else b"")
            elif re.search(rb"\{\d+\+\} ", line):
                continue
            status, _ = s.run(line)
            counts[status] = counts.get(status, 0) + 1
            if v[0] in (b"SELECT", b"EXAMINE"):
                s.run(b"SELECT box")
        if needs:
            line = command.encode() + (b"\r\nx" if command.endswith("{1+}") else b"")
            equal(unselected.run(line)[0], "BAD", f"{command} without a mailbox")
    s.run(b"NOOP")  # this may be the one too many
    equal(s.run(b"NOOP")[0], "OK")
    print("  answers:", counts)
    check(counts["BAD"] > 1000 and counts["NO"] > 20, counts)


def test_tags(h):
    for line in (b"", b" ", b"a", b" NOOP", b"+ NOOP", b"* NOOP", b"a+b NOOP", b"{1} NOOP", b"a" * 200 + b" NOOP", b"\x80 NOOP",
                 b"\x00 NOOP", b"a\x00 NOOP", b"a NO\x00OP", b"(a) NOOP", b"a  NOOP", b"a\tNOOP", b"a NOOP\t"):
        with h.imap("alice") as t:
            t.put(line)
            got = t.line()
            check(re.match(r"\S+ (BAD|OK) .", got), line[:40], got)
            equal(t.command("NOOP")[0].split()[0], "OK", f"after {line[:40]!r}")


def test_literal_limits(h):
    """Command arguments have 65,536 bytes; what is more is refused unread, or read over when it comes unasked."""
    limit = 65536
    with h.imap("alice") as t:
        for n in (limit - 1, limit, limit + 1):
            tag = t.start("CREATE {%d}" % n)
            first = t.line()
            if n <= limit:
                contains(first, "+ ", n)
                t.send(b"a" * n + b"\r\n")
                contains(t.line(), f"{tag} NO", n)
            else:
                contains(first, f"{tag} BAD [TOOBIG]", n)
            tag = t.start(b"CREATE {%d+}\r\n%s" % (n, b"a" * n))
            contains(t.line(), f"{tag} NO" if n <= limit else f"{tag} BAD [TOOBIG]", n)
        for n in (999, 1000, 1001):  # literals of a command
            t.command("SELECT INBOX")
            names = b" ".join(b"{1+}\r\nx" for _ in range(n))
            status, _ = t.command(b"UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (" + names + b")]")
            equal(status.split()[0], "OK" if n <= 1000 else "BAD", n)
        for n in (65530, 65535, 65536, 65537, 65538, 1000000):  # a line
            head = f"a{t.tag + 1} NOOP"
            status, _ = t.command("NOOP" + " " * (n - len(head)))
            equal(status.split()[0], "OK" if n <= 65536 else "BAD", n)
        for text in ("{4294967295+}", "{99999999999999999999+}", "{18446744073709551616}", "{-1+}", "{1++}", "{ 1}", "{1"):
            u = h.imap("alice")
            u.put("x CREATE " + text)
            said = u.line()
            check(re.match(r"x BAD .|\* BYE .", said), text, said)
            u.close()
        size = int(re.search(r"APPENDLIMIT=(\d+)", t.ok("CAPABILITY")[0][0]).group(1))
        tag = t.start(f"APPEND INBOX {{{size + 1}}}")
        contains(t.line(), f"{tag} NO [TOOBIG]", "APPEND of a byte too many")
        tag = t.start(f"APPEND INBOX {{{size}}}")
        contains(t.line(), "+ ", "APPEND of the limit")


def test_sets(h):
    with h.imap("alice") as t:
        t.command("CREATE sets")
        t.command("CREATE other")
        for _ in range(3):
            t.append("Subject: x\r\n\r\nb\r\n", "sets")
        t.ok("SELECT sets")
        begun = time.monotonic()
        ranges = ",".join(f"{i}:{i + 1}" for i in range(1, 16000, 3))
        check(len(ranges) < 65000, len(ranges))
        equal(len(t.ok(f"UID FETCH {ranges} FLAGS")), 2)
        same = ",".join(["1:*", "*", "3:1"] * 6000)
        for command in (f"FETCH {same} FLAGS", f"UID SEARCH {same}", f"UID STORE {same} +FLAGS (a)", f"COPY {same} other"):
            t.ok(command)
        bad(t, "FETCH " + ",".join(f"{i}:{i + 1}" for i in range(100000)) + " FLAGS")
        for wrong in ("0", "1:0", "1,", ",1", "1::2", "1:2:3", "a", "1-2", "4294967296", "01", "$1", "*:", "4", "2:4", "1:99"):
            bad(t, f"FETCH {wrong} FLAGS")
        for good, n in (("1:*", 3), ("*:1", 3), ("4294967295:*", 1), ("4:*", 1), ("3:1", 3), ("*", 1)):
            t.ok("UNSELECT")
            t.ok("SELECT sets")
            t.command("STORE 1:* -FLAGS (a)")
            equal(len([r for r in t.ok(f"FETCH {good} UID") if " FETCH " in r[0]]), n, good)
        check(time.monotonic() - begun < 20, "it took", time.monotonic() - begun)


def test_deep(h):
    with h.imap("alice", select="INBOX") as t:
        for n in (10, 1000, 10000):
            for left, right in (("(", ")"), ("NOT ", ""), ("OR ALL ", ""), ("OR (NOT ", ") ALL")):
                status, _ = t.command(f"SEARCH {left * n}ALL{right * n}")
                equal(status.split()[0], "OK" if n == 10 else "BAD", (n, left))
                t.ok("NOOP")
            for command in (f"FETCH 1:* {'(' * n}FLAGS{')' * n}", f"LIST {'(' * n} x y", f"STATUS INBOX {'(' * n}MESSAGES{')' * n}",
                            f"ID {'(' * n}", f"STORE 1 FLAGS {'(' * n}", f"SORT {'(' * n}DATE UTF-8 ALL", f"LIST \"\" {'(' * n}a{')' * n}",
                            f"ESEARCH IN {'(' * n}inboxes{')' * n} ALL", f"FETCH 1:* BODY[{'1.' * n}HEADER.FIELDS {'(' * n}a{')' * n}]"):
                status, _ = t.command(command)
                check(status.split()[0] == "BAD", command[:60], n, status)
                t.ok("NOOP")
        equal(t.command("FETCH 1:* BODY.PEEK[" + "1." * 3000 + "1]")[0].split()[0] in ("OK", "BAD"), True)
        t.bad(f"SEARCH {' '.join(['BODY x'] * 2000)}")
        t.ok(f"SEARCH {' '.join(['ALL SEEN'] * 2000)}")
        t.bad("FETCH 1:* (" + " ".join(["BODY.PEEK[]"] * 3000) + ")")
        t.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (" + " ".join(f"x{i}" for i in range(5000)) + ")]")


MAIL = (b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: x-u\r\n\r\none\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nX-Y: z\r\n\r\ninner\r\n--b--\r\n")


def test_parts(h):
    """Parts that are not there, partials at and behind the end, sections of the wrong kind."""
    with h.imap("alice") as t:
        t.command("CREATE parts")
        t.append(MAIL, "parts")
        t.ok("SELECT parts")
        for section, want in (
                ("1", b"one"), ("1.1", None), ("2", b"Subject: in\r\nX-Y: z\r\n\r\ninner"), ("2.1", b"inner"), ("2.HEADER", b"Subject: in\r\nX-Y: z\r\n\r\n"),
                ("2.TEXT", b"inner"), ("2.MIME", b"Content-Type: message/rfc822\r\n\r\n"), ("2.1.MIME", b"Subject: in\r\nX-Y: z\r\n\r\n"), ("1.HEADER", None),
                ("1.TEXT", None), ("3", None), ("1.1.1.1.1", None), ("4294967295", None), ("3.MIME", None), ("9.HEADER.FIELDS (A)", None),
                ("2.HEADER.FIELDS (SUBJECT)", b"Subject: in\r\n\r\n"), ("2.HEADER.FIELDS.NOT (Subject)", b"X-Y: z\r\n\r\n"),
                ("HEADER.FIELDS (Nothing)", b"\r\n")):
            got = t.fetch(1, f"BODY.PEEK[{section}]")[1]
            literals = [p for p in got if isinstance(p, bytes)]
            if want is None:
                check(got[0].endswith(" NIL)"), section, got)
            elif want:
                check(literals == [want] or f'"{want.decode()}"' in got[0], section, got)
        size = len(MAIL)
        for partial, want in (("<0.5>", MAIL[:5]), (f"<{size - 1}.9>", MAIL[-1:]), (f"<{size}.9>", b""), ("<9223372036854775807.1>", b""),
                              ("<0.4294967295>", MAIL)):
            got = t.fetch(1, f"BODY.PEEK[]{partial}")[1]
            contains(got[0], f"BODY[]{partial.split('.')[0]}>", partial)
            check([p for p in got if isinstance(p, bytes)] == [want] or (not want and '""' in got[0]), partial, got)
        for wrong in ("<0.0>", "<.1>", "<1>", "<-1.1>", "<1.>", "<0.4294967296>", "<1.1", "<1,1>"):
            bad(t, f"FETCH 1 BODY[]{wrong}")
        for wrong in ("BODY[0]", "BODY[1.]", "BODY[.1]", "BODY[MIME]", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]", "BODY[1.HEADER.FIELDS]",
                    "BODY[TEXT.1]", "BODY[1.BOGUS]", "BODY[", "BODY[]]", "BINARY[TEXT]", "BINARY[1.MIME]", "BINARY.SIZE[1]<0.1>", "BINARY",
                    "BINARY.PEEK", "BODY.PEEK", "RFC822.PEEK", "ENVELOPE[1]", "(FAST)", "()", "(FLAGS", "FLAGS)", "(FLAGS,UID)", "FLAGS UID"):
            bad(t, f"FETCH 1 {wrong}")
        t.no("FETCH 1 BINARY.PEEK[1]", "UNKNOWN-CTE")
        t.no("FETCH 1 BINARY.SIZE[1]", "UNKNOWN-CTE")
        t.ok("FETCH 1 BINARY.PEEK[7]")


def test_folder_names_of_any_bytes(h):
    """All 256 bytes as atom, quoted string and literal, to clients of UTF-7 and of UTF-8."""
    for enable in ("", "ENABLE IMAP4rev2", "ENABLE UTF8=ACCEPT"):
        with h.imap("alice") as t:
            if enable:
                t.ok(enable)
            for b in range(256) if not enable else [*range(0, 128, 7), *range(128, 256, 17), 0x22, 0x26, 0x2f, 0x5c, 0x7f, 0xc3, 0xff]:
                c = bytes([b])
                for name in (b"n" + c + b"m", b'"n' + c + b'm"', b"{3+}\r\nn" + c + b"m"):
                    if b in (10, 13) and not name.startswith(b"{"):
                        continue
                    if name.startswith(b'"') and c in b'"\\':
                        name = b'"n\\' + c + b'm"'
                    for verb in (b"CREATE ", b"STATUS ", b"DELETE "):
                        status, untagged = t.command(verb + name + (b" (MESSAGES)" if verb == b"STATUS " else b""))
                        word = status.split()[0]
                        check(word in ("OK", "NO", "BAD"), b, name, status)
                        if verb == b"CREATE " and (b < 32 or b > 126):
                            check(word != "OK", "made a mailbox named", name, "with", enable)
                        t.ok("NOOP")
            for name in ("", "/", "//", "a//b", "/a", "a/", ".", "..", "../x", "a/../b", "INBOX/INBOX", "inbox", "x" * 300, "/".join("a" * 60),
                         "&", "&-", "&AAA-", "&Jjo", "&Jjo-&Jjo-", "&AGE-", "&2AA-", "~x", "#news"):
                status, _ = t.command(f'CREATE "{name}"')
                check(status.split()[0] in ("OK", "NO"), name, status)
                check(len(status) > 8, status)
                t.command(f'DELETE "{name}"')
                t.ok("NOOP")
            listed = t.ok('LIST "" *')
            check(len(listed) < 60, "left behind:", listed)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
