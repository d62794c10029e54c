"""Mailboxes shared between accounts (RFC 4314): each right alone, taken away while in use, owners that go."""
import imaplib
import sys
import time

imaplib.Commands.update(LISTRIGHTS=("AUTH", "SELECTED"), MOVE=("SELECTED",))

from harness import House, check, contains, equal, joined, main

TEXT = b"From: a@example.org\r\nTo: alice@example.test\r\nSubject: shared\r\n\r\nhello\r\n"
BOX = '"Other Users/alice@example.test/Shared"'
ALL = "lrswipkxtea"


class Pair:
    """Alice, who owns, and bob, to whom she grants; imaplib throughout."""

    def __init__(self, h):
        self.alice = self.login(h, "alice")
        self.bob = self.login(h, "bob")
        self.bob.create("Mine")

    def login(self, h, user):
        m = imaplib.IMAP4("127.0.0.1", h.ports["imap"])
        m._encoding = "utf-8"
        m.login(user, h.users[user])
        return m

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for m in (self.alice, self.bob):
            try:
                m.logout()
            except (imaplib.IMAP4.error, OSError):
                pass

    def fresh(self, rights):
        """The shared mailbox anew with one message that is marked \\Deleted, and bob's rights in it."""
        a = self.alice
        for name in ("Shared/child", "Shared", "Parent/Shared", "Parent"):
            a.delete(name)
        equal(a.create("Shared")[0], "OK")
        equal(a.append("Shared", r"(\Deleted)", None, TEXT)[0], "OK")
        equal(a.setacl("Shared", "bob", rights or '""')[0], "OK")


def answer(call, *args):
    """OK, NO or BAD, and the text."""
    try:
        typ, data = call(*args)
        return typ, str(data)
    except imaplib.IMAP4.readonly as e:
        call.__self__.is_readonly = True  # it is selected, READ-ONLY: no news for imaplib from here on
        return "OK", str(e)
    except imaplib.IMAP4.error as e:
        return ("BAD" if "BAD" in str(e) else "NO"), str(e)


def selected(p, *command):
    """A command in the shared mailbox; None: it could not be selected."""
    typ, text = answer(p.bob.select, BOX)
    if typ != "OK":
        return typ, text
    try:
        return answer(*command)
    finally:
        answer(p.bob.unselect)


def store(flag):
    return lambda p: selected(p, p.bob.store, "1", "+FLAGS" if flag != "\\Deleted" else "-FLAGS", flag)


def mine(p):
    p.bob.select("Mine")
    p.bob.append("Mine", None, None, TEXT)
    try:
        return answer(p.bob.copy, "1", BOX)
    finally:
        answer(p.bob.unselect)


def metadata(p, verb, what):
    return answer(p.bob.xatom, verb + "METADATA", BOX, what)


# What is done, and the sets of rights of which one suffices.
COMMANDS = [
    ("SELECT", lambda p: answer(p.bob.select, BOX), ["r"]),
    ("EXAMINE", lambda p: answer(p.bob.select, BOX, True), ["r"]),
    ("STATUS", lambda p: answer(p.bob.status, BOX, "(MESSAGES)"), ["r"]),
    ("GETQUOTAROOT", lambda p: answer(p.bob.getquotaroot, BOX), ["r"]),
    ("SUBSCRIBE", lambda p: answer(p.bob.subscribe, BOX), ["l"]),
    ("UNSUBSCRIBE", lambda p: answer(p.bob.unsubscribe, BOX), [""]),
    ("CREATE", lambda p: answer(p.bob.create, BOX[:-1] + '/child"'), ["k"]),
    ("DELETE", lambda p: answer(p.bob.delete, BOX), ["x"]),
    ("RENAME below itself", lambda p: answer(p.bob.rename, BOX, BOX[:-1] + '/child"'), []),
    ("SETACL", lambda p: answer(p.bob.setacl, BOX, "anyone", "p"), ["a"]),
    ("DELETEACL", lambda p: answer(p.bob.deleteacl, BOX, "anyone"), ["a"]),
    ("GETACL", lambda p: answer(p.bob.getacl, BOX), ["a"]),
    ("LISTRIGHTS", lambda p: answer(p.bob._simple_command, "LISTRIGHTS", BOX, "bob"), ["a"]),
    ("MYRIGHTS", lambda p: answer(p.bob.myrights, BOX), ["l", "r", "i", "k", "x", "a"]),
    ("GETMETADATA", lambda p: metadata(p, "GET", "/shared/comment"), ["l" + x for x in "rswip"]),
    ("GETMETADATA private", lambda p: metadata(p, "GET", "/private/comment"), ["l" + x for x in "rswip"]),
    ("SETMETADATA shared", lambda p: metadata(p, "SET", '(/shared/comment "by bob")'), ["lw"]),
    ("SETMETADATA private", lambda p: metadata(p, "SET", '(/private/comment "his")'), ["l" + x for x in "rswip"]),
    ("SETMETADATA both", lambda p: metadata(p, "SET", '(/private/comment "his" /shared/comment "x")'), ["lw"]),
    ("SETMETADATA use", lambda p: metadata(p, "SET", '(/private/specialuse "\\\\Junk")'), []),
    ("APPEND", lambda p: answer(p.bob.append, BOX, r"(\Seen \Flagged)", None, TEXT), ["i"]),
    ("COPY to", mine, ["i"]),
    ("FETCH", lambda p: selected(p, p.bob.fetch, "1", "(BODY[])"), ["r"]),
    ("SEARCH", lambda p: selected(p, p.bob.search, None, "ALL"), ["r"]),
    ("STORE \\Seen", store("\\Seen"), ["rs"]),
    ("STORE \\Deleted", store("\\Deleted"), ["rt"]),
    ("STORE \\Flagged", store("\\Flagged"), ["rw"]),
    ("STORE keyword", store("$Label1"), ["rw"]),
    ("EXPUNGE", lambda p: selected(p, p.bob.expunge), ["re"]),
    ("COPY from", lambda p: selected(p, p.bob.copy, "1", "Mine"), ["r"]),
    ("MOVE from", lambda p: selected(p, p.bob._simple_command, "MOVE", "1", "Mine"), ["rte"]),
]


def listed(p):
    return "Shared" in str(p.bob.list('""', '"Other Users/alice@example.test/*"'))


def test_each_right(h):
    with Pair(h) as p:
        sets = [""] + list(ALL) + ["r" + x for x in ALL if x != "r"] + ["rte", "lr", ALL]
        sets += [ALL.replace(x, "") for x in ALL]
        for rights in sets:
            p.fresh(rights)
            equal(listed(p), "l" in rights, f"LIST with {rights!r}")
            for name, act, need in COMMANDS:
                may = any(set(n) <= set(rights) for n in need)
                typ, text = act(p)
                answer(p.bob.unselect)
                check((typ == "OK") == may, f"{name} with {rights!r}: {typ} {text}")
                if typ == "NO" and "r" in rights and not "l" in rights and name in ("GETACL", "DELETE", "SETACL"):
                    contains(text, "NONEXISTENT", f"{name} with {rights!r} gives the mailbox away")
                if typ == "OK" and name in ("DELETE", "CREATE", "EXPUNGE", "MOVE from", "SETACL", "APPEND", "COPY to",
                                            "STORE \\Deleted"):
                    p.fresh(rights)
        p.bob.delete("Mine")


def test_capabilities(h):
    with h.imap() as t:
        words = t.ok("CAPABILITY")[0][0].split()
        for word in ("ACL", "RIGHTS=texk", "LIST-MYRIGHTS", "NAMESPACE"):
            contains(words, word)
        contains(joined(t.ok("NAMESPACE")), 'NAMESPACE (("" "/")) (("Other Users/" "/")) NIL')


def test_flags(h):
    """\\Seen is not set by who lacks s; what comes with a message is kept by the rights."""
    with Pair(h) as p:
        p.fresh("lri")
        equal(answer(p.bob.select, BOX)[0], "OK")
        check("Seen" not in str(p.bob.fetch("1", "(BODY[] FLAGS)")), "no s, no \\Seen")
        p.alice.setacl("Shared", "bob", "+s")
        contains(str(p.bob.fetch("1", "(BODY[] FLAGS)")), "\\\\Seen")
        p.bob.unselect()
        for rights, want in (("i", ""), ("is", "\\Seen"), ("it", "\\Deleted"), ("iw", "\\Answered \\Flagged $x")):
            p.fresh(rights)
            equal(p.bob.append(BOX, r"(\Seen \Deleted \Answered \Flagged $x)", None, TEXT)[0], "OK")
            p.alice.select("Shared")
            contains(str(p.alice.fetch("2", "(FLAGS)")[1]).replace("\\\\", "\\"), f"FLAGS ({want})", rights)
            p.alice.unselect()


def test_metadata(h):
    """Shared values are one for both, private ones are each one's own; LIST tells them by the same rights."""
    with Pair(h) as p:
        p.fresh("lr")
        with h.imap("alice") as a, h.imap("bob") as b:
            a.ok('SETMETADATA Shared (/shared/comment "of all" /private/comment "of alice")')
            equal(b.command(f'SETMETADATA {BOX} (/private/comment "of bob")')[0].split()[0], "OK")
            contains(b.command(f'SETMETADATA {BOX} (/shared/comment "of bob")')[0], "NO [NOPERM]")
            got = joined(b.ok(f"GETMETADATA {BOX} (/shared/comment /private/comment)"))
            contains(got, '/shared/comment "of all" /private/comment "of bob"')
            got = joined(a.ok("GETMETADATA Shared (/shared/comment /private/comment)"))
            contains(got, '/shared/comment "of all" /private/comment "of alice"')
            ask = f'LIST "" {BOX} RETURN (METADATA (/shared/comment /private/comment))'
            contains(joined(b.ok(ask)), '/shared/comment "of all" /private/comment "of bob"')
            for rights, said in (("l", "NO [NOPERM]"), ("r", "NO [NONEXISTENT]")):
                a.ok(f"SETACL Shared bob {rights}")
                contains(b.command(f"GETMETADATA {BOX} /shared/comment")[0], said)
                contains(b.command(f'SETMETADATA {BOX} (/private/comment "x")')[0], said)
                check("of all" not in joined(b.ok(ask)), f"LIST tells metadata to {rights}")
            a.ok("SETACL Shared bob lw")
            b.ok(f'SETMETADATA {BOX} (/shared/comment "of bob")')
            contains(joined(a.ok("GETMETADATA Shared (/shared/comment)")), '"of bob"')


def news(m):
    m.untagged_responses.clear()
    typ, text = answer(m.noop)
    return typ, str(m.untagged_responses) + text


def test_withdrawn(h):
    """Rights that end while the mailbox is selected: nothing more is read in it."""
    with Pair(h) as p:
        p.fresh("lrswit")
        equal(p.bob.select(BOX)[0], "OK")
        p.alice.setacl("Shared", "bob", "lrs")
        contains(news(p.bob)[1], "PERMANENTFLAGS (\\\\\\\\Seen)".replace("\\\\\\\\", "\\\\"))
        equal(answer(p.bob.store, "1", "+FLAGS", "\\Flagged")[0], "NO")
        p.alice.setacl("Shared", "bob", "l")
        for command in (lambda: p.bob.fetch("1", "(BODY[])"), p.bob.noop):
            try:
                got = str(command())
            except (imaplib.IMAP4.error, OSError) as e:
                got = str(e)
            check("hello" not in got, "read after r was taken away:", got)
        p.bob = p.login(h, "bob")
        equal(answer(p.bob.select, BOX)[0], "NO")
        contains(answer(p.bob.select, BOX)[1], "NOPERM")
        p.alice.setacl("Shared", "-bob", "l")
        contains(answer(p.bob.select, BOX)[1], "NONEXISTENT")


def test_idle(h):
    """What one account does in a shared mailbox the other one's IDLE hears at once, either way."""
    with Pair(h) as p:
        p.fresh(ALL)
        with h.imap("bob") as b, h.imap("alice") as a:
            b.ok(f"SELECT {BOX}")
            a.ok("SELECT Shared")
            for idler, other, box in ((b, a, "Shared"), (a, b, BOX)):
                tag = idler.start("IDLE")
                contains(idler.line(), "+ ")
                began = time.monotonic()
                other.append(TEXT, box)
                line = idler.line()
                contains(line, "EXISTS")
                check(time.monotonic() - began < 2, "it took", time.monotonic() - began)
                idler.send("DONE\r\n")
                idler.finish(tag)
                other.ok("NOOP")


def test_move_across(h):
    """MOVE out of another's mailbox and back: the message is in one of the two, whole."""
    with Pair(h) as p:
        p.fresh("lrswite")
        p.bob.delete("Inbound")
        p.bob.create("Inbound")
        equal(p.bob.select(BOX)[0], "OK")
        equal(p.bob._simple_command("MOVE", "1", "Inbound")[0], "OK")
        p.bob.unselect()
        contains(str(p.bob.status("Inbound", "(MESSAGES)")), "MESSAGES 1")
        contains(str(p.alice.status("Shared", "(MESSAGES)")), "MESSAGES 0")
        p.bob.select("Inbound")
        contains(str(p.bob.fetch("1", "(BODY.PEEK[])")), "hello")
        equal(p.bob._simple_command("MOVE", "1", BOX)[0], "OK")
        p.bob.unselect()
        contains(str(p.alice.status("Shared", "(MESSAGES)")), "MESSAGES 1")
        p.bob.delete("Inbound")


def test_owner_goes(h):
    """The owner's account is removed while its mailbox is selected by another."""
    h.cli("account", "add", "carol@example.test", "--password-stdin", "--json", stdin="carols secret\n")
    h.users["carol"] = "carols secret"
    carol = imaplib.IMAP4("127.0.0.1", h.ports["imap"])
    carol.login("carol", h.users["carol"])
    carol.create("Work")
    carol.append("Work", None, None, TEXT)
    equal(carol.setacl("Work", "bob", "lr")[0], "OK")
    box = '"Other Users/carol@example.test/Work"'
    with h.imap("bob") as b:
        b.ok(f"SELECT {box}")
        h.cli("account", "remove", "carol@example.test", "--yes", text=True)
        tag = b.start("FETCH 1 BODY[]")
        rest = b""
        try:
            rest = joined(b.finish(tag)[1])
        except Exception as e:
            rest = str(e)
        check("hello" not in rest, "read in the mailbox of an account that is gone")
    with h.imap("bob") as b:
        check("carol" not in joined(b.ok('LIST "" *')), "listed after its owner went")
        contains(b.command(f"SELECT {box}")[0], "NONEXISTENT")


def test_address_of_another_script(h):
    """8 bits stand in a quoted string under IMAP4rev2 and in a literal else."""
    own = House(PROGRAM, users={"alice": "wonder land", "j\u00fcrgen": "secret words"})
    with own.imap() as t:
        t.ok("CREATE Shared")
        t.ok("ENABLE IMAP4rev2")
        t.ok('SETACL Shared "j\u00fcrgen@example.test" lr')
        contains(joined(t.ok("GETACL Shared")), '"j\u00fcrgen@example.test" "lr"')
    with own.imap() as t:
        equal(t.ok("GETACL Shared")[0][1:], ["j\u00fcrgen@example.test".encode(), ' "lr"'])
        equal(t.ok("LISTRIGHTS Shared {7+}\r\nj\u00fcrgen")[0][1], "j\u00fcrgen".encode())


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
