"""POP3 as clients see it: poplib, and raw lines where it matters what stands on the wire."""
import base64
import poplib
import re
import ssl
import sys
import threading
import time

from harness import check, contains, equal, main, sanitized, wait_until

TEXT = b"From: a@example.org\r\nSubject: %s\r\n\r\n%s"


def fill(h, bodies, user="alice"):
    """Empties the INBOX and puts messages into it, over IMAP: byte for byte what a client will get."""
    h.clear(user)
    sent = []
    with h.imap(user) as t:
        for i, body in enumerate(bodies):
            sent.append(TEXT % (b"number %d" % (i + 1), body))
            t.append(sent[-1])
    return sent


def login(h, user="alice"):
    p = poplib.POP3("127.0.0.1", h.ports["pop3"], timeout=15)
    p.user(user)
    p.pass_(h.users[user])
    return p


def client(h, user=None, service="pop3"):
    t = h.talk(service)
    contains(t.line(), "+OK")
    if user:
        say(t, f"USER {user}")
        say(t, f"PASS {h.users[user]}")
    return t


def say(t, line, start="+OK"):
    t.put(line)
    got = t.line()
    check(got.startswith(start), f"{line!r}: {got!r}")
    return got


def lines(t):
    got = []
    while True:
        line = t.line()
        if line == ".":
            return got
        got.append(line[1:] if line.startswith(".") else line)


def context():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    return c


def refused(function, *args):
    try:
        function(*args)
    except poplib.error_proto as e:
        return str(e)
    raise AssertionError(f"{function.__name__}{args} was not refused")


def test_logging_in(h):
    fill(h, [b"x\r\n"])
    for name in ("alice", "alice@example.test"):
        p = poplib.POP3("127.0.0.1", h.ports["pop3"])
        p.user(name)
        contains(p.pass_(h.users["alice"]), b"+OK")
        p.quit()
    p = poplib.POP3("127.0.0.1", h.ports["pop3"])
    p.user("alice")
    contains(refused(p.pass_, "wrong"), "[AUTH]")
    p.user("nobody")
    contains(refused(p.pass_, "wrong"), "[AUTH]")
    p.close()
    secret = base64.b64encode(f"\0alice\0{h.users['alice']}".encode()).decode()
    with client(h) as t:
        say(t, f"AUTH PLAIN {secret}")
        say(t, "STAT")
    with client(h) as t:
        say(t, "AUTH PLAIN", "+ ")
        say(t, secret)
    with client(h) as t:
        say(t, "AUTH PLAIN", "+ ")
        say(t, "*", "-ERR")
        say(t, "STAT", "-ERR")
        say(t, "PASS early", "-ERR")


def test_tls(h):
    p = poplib.POP3_SSL("127.0.0.1", h.ports["pop3s"], context=context())
    p.user("alice")
    p.pass_(h.users["alice"])
    equal(len(p.list()[1]), p.stat()[0])
    p.quit()
    p = poplib.POP3("127.0.0.1", h.ports["pop3"])
    p.stls(context())
    check("STLS" not in p.capa(), "STLS inside TLS")
    p.user("alice")
    p.pass_(h.users["alice"])
    p.quit()
    with client(h) as t:
        t.send(b"STLS\r\nUSER alice\r\n")
        got = t.rest()
        check(got.startswith(b"-ERR") and got.count(b"\n") == 1, "injected behind STLS:", got)


def test_capabilities(h):
    p = poplib.POP3("127.0.0.1", h.ports["pop3"])
    capa = p.capa()
    for word in ("TOP", "UIDL", "RESP-CODES", "PIPELINING", "USER", "STLS", "SASL"):
        contains(capa, word)
    equal(capa["SASL"], ["SCRAM-SHA-256", "PLAIN"])
    p.quit()


def test_whole_mailbox(h):
    sent = fill(h, [b"one\r\n", b".\r\n..\r\n.dots\r\nend", b"\xe4\xbd\xa0\xff\r\n" * 1000, b"x" * 5000 + b"\r\n"])
    p = login(h)
    equal(p.stat(), (4, sum(map(len, sent))))
    equal(p.list()[1], [b"%d %d" % (i + 1, len(m)) for i, m in enumerate(sent)])
    equal(p.list(3), b"+OK 3 %d" % len(sent[2]))
    p.quit()
    with client(h, "alice") as t:  # byte for byte: poplib loses bare line ends
        for i, m in enumerate(sent):
            contains(say(t, f"RETR {i + 1}"), str(len(m)))
            got = "\r\n".join(lines(t)).encode("utf-8", "surrogateescape")
            equal(got, m[:-2] if m.endswith(b"\r\n") else m, f"message {i + 1}")
        say(t, "RETR 5", "-ERR")
        say(t, "RETR 0", "-ERR")
        say(t, "RETR x", "-ERR")
        say(t, "RETR", "-ERR")


def test_top(h):
    fill(h, [b"1\r\n2\r\n.3\r\n4\r\n"])
    with client(h, "alice") as t:
        say(t, "TOP 1 0")
        equal(lines(t), ["From: a@example.org", "Subject: number 1", ""])
        say(t, "TOP 1 3")
        equal(lines(t)[3:], ["1", "2", ".3"])
        say(t, "TOP 1 99")
        equal(lines(t)[3:], ["1", "2", ".3", "4"])
        say(t, "TOP 1", "-ERR")


def test_uidl_is_stable(h):
    fill(h, [b"a\r\n", b"b\r\n", b"c\r\n"])
    p = login(h)
    first = p.uidl()[1]
    equal(len({line.split()[1] for line in first}), 3, "different ids")
    p.dele(2)
    p.quit()
    p = login(h)
    again = p.uidl()[1]
    equal([line.split()[1] for line in again], [first[0].split()[1], first[2].split()[1]])
    equal(p.uidl(2), b"+OK " + again[1])
    p.quit()


def test_uidl_of_a_message_that_is_there_twice(h):
    """RFC 1939 7: a unique-id names one message of the maildrop; IMAP's COPY makes another one of the same bytes."""
    fill(h, [b"a\r\n"])
    with h.imap("alice", select="INBOX") as t:
        t.ok("COPY 1 INBOX")
    p = login(h)
    equal(len({line.split()[1] for line in p.uidl()[1]}), 2, "different ids")
    p.quit()


def test_deletes_only_at_quit(h):
    """D14: DELE takes effect at QUIT; a connection that is lost deletes nothing."""
    fill(h, [b"a\r\n", b"b\r\n", b"c\r\n"])
    for end in ("close", "vanish"):
        t = client(h, "alice")
        say(t, "DELE 1")
        say(t, "DELE 3")
        contains(say(t, "STAT"), "+OK 1 ")
        say(t, "DELE 1", "-ERR")
        say(t, "RETR 1", "-ERR")
        getattr(t, end)()
        with client(h, "alice") as again:
            contains(say(again, "STAT"), "+OK 3 ")
    with client(h, "alice") as t:
        say(t, "DELE 1")
        say(t, "RSET")
        contains(say(t, "STAT"), "+OK 3 ")
        say(t, "QUIT")
    with client(h, "alice") as t:
        say(t, "DELE 2")
        with h.imap(select="INBOX") as other:
            equal(other.count(), 3, "before QUIT")
            say(t, "QUIT")
            t.ended()
            equal(other.count(), 2, "behind QUIT")
            check(b"number 2" not in other.body(2), "the wrong one was deleted")


def test_too_many_errors_delete_nothing(h):
    fill(h, [b"a\r\n"])
    with client(h, "alice") as t:
        say(t, "DELE 1")
        t.send(b"FOO\r\n" * 40)
        contains(t.rest(), b"-ERR Too many errors")
    with client(h, "alice") as t:
        contains(say(t, "STAT"), "+OK 1 ")


def test_pipelined(h):
    sent = fill(h, [b"a\r\n", b"b\r\n"])
    with client(h) as t:
        t.send(f"USER alice\r\nPASS {h.users['alice']}\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nUIDL\r\nNOOP\r\nQUIT\r\n")
        for _ in range(2):
            contains(t.line(), "+OK")
        contains(t.line(), "+OK 2 %d" % sum(map(len, sent)))
        contains(t.line(), "+OK")
        contains(lines(t), "Subject: number 1")
        contains(t.line(), "+OK")
        contains(t.line(), "+OK")
        equal(len(lines(t)), 1)
        contains(t.line(), "+OK")
        contains(t.line(), "+OK")
        t.ended()
    with client(h, "alice") as t:
        contains(say(t, "STAT"), "+OK 1 ")


def test_new_mail_is_for_the_next_session(h):
    fill(h, [b"a\r\n"])
    with client(h, "alice") as t:
        h.send(body="Subject: later\r\n\r\nx\r\n")
        contains(say(t, "STAT"), "+OK 1 ")
        say(t, "RETR 2", "-ERR")
    with client(h, "alice") as t:
        contains(say(t, "STAT"), "+OK 2 ")


def test_message_removed_by_another(h):
    fill(h, [b"a\r\n", b"b\r\n"])
    with client(h, "alice") as t:
        h.clear()
        t.put("RETR 1")
        got = t.line()
        if got.startswith("+OK"):  # a message whose text is still there may be given
            lines(t)
        say(t, "DELE 2")
        t.put("QUIT")
        t.line()


def test_top_takes_two_numbers(h):
    fill(h, [b"a\r\n.b\r\n" + b"x" * 5000 + b"\r\nend\r\n"])
    with client(h, "alice") as t:
        for wrong in ("TOP", "TOP 1", "TOP 1 2 3", "TOP 1 -1", "TOP x 1", "TOP 0 1", "TOP 2 1", "TOP 1 4294967296", "RETR 1 2", "DELE 1 1"):
            say(t, wrong, "-ERR")
        for n in (0, 1, 2, 3, 4, 9):
            say(t, f"TOP 1 {n}")
            got = lines(t)
            body = got[got.index("") + 1:]
            equal(body, ["a", ".b", "x" * 5000, "end"][:n], f"TOP 1 {n}")


def test_wrong_commands(h):
    with client(h) as t:
        for line in ("", "FOO", "STAT", "LIST", "USER", "AUTH X"):
            say(t, line, "-ERR")
        say(t, "x" * 5000, "-ERR")
        say(t, "NOOP")
        say(t, "QUIT")
        t.ended()


def test_empty_mailbox(h):
    fill(h, [])
    with client(h, "alice") as t:
        equal(say(t, "STAT"), "+OK 0 0")
        say(t, "LIST")
        equal(lines(t), [])
        say(t, "UIDL")
        equal(lines(t), [])
        say(t, "QUIT")


def test_large_message_to_a_slow_reader(h):
    """The server waits for a reader that stops, and goes on where it was."""
    fill(h, [b"0123456789abcdef\r\n" * 400000])
    t = h.talk("pop3", rcvbuf=4096)
    t.line()
    say(t, "USER alice")
    say(t, f"PASS {h.users['alice']}")
    say(t, "RETR 1")
    t.sock.recv(1000)
    with client(h, "alice") as other:
        say(other, "STAT")
    t.have = b""
    got = 1000
    while b"\r\n.\r\n" not in t.have[-100:]:
        n = len(t.have)
        t.fill()
        got += len(t.have) - n
        t.have = t.have[-100:]
    check(got > 7000000, got)
    t.have = b""
    say(t, "QUIT")
    t.close()


def test_connections_end(h):
    for end in ("close", "vanish"):
        for user in ("alice", None):
            for service in ("pop3", "pop3s"):
                getattr(client(h, user, service), end)()
    wait_until(lambda: sum(r.get("connections", 0) for r in h.status()["roles"]) == 0,
               what="the end of the connections")
    check(re.search(r"pop3", h.log()), "nothing about POP3 in the log")


def test_languages_and_utf8(h):
    """RFC 6856, before login and after."""
    fill(h, [b"x\r\n"])
    with h.imap("alice") as t:
        t.append("Subject: 你好\r\n\r\nx\r\n".encode())
    with client(h) as t:
        equal(say(t, "LANG zh"), "+OK zh 中文")
        say(t, "UTF8")
        equal(say(t, "USER alice"), "+OK 请给出密码：PASS ...")
        contains(say(t, f"PASS {h.users['alice']}"), "+OK 2 封邮件")
        say(t, "RETR 2")
        equal(lines(t), ["Subject: 你好", "", "x"])
        equal(say(t, "RETR 9", "-ERR"), "-ERR 没有这封邮件")
        equal(say(t, "LANG en"), "+OK en English")
        equal(say(t, "QUIT"), "+OK Goodbye")
    with client(h, "alice") as t:  # without UTF8: encoded words
        say(t, "RETR 2")
        got = lines(t)
        check(got[0].isascii() and got[0].lower().startswith("subject: =?utf-8?"), got)
        equal(got[1:], ["", "x"])
    p = login(h)
    contains(p.capa(), "LANG")
    p.quit()
    p = poplib.POP3("127.0.0.1", h.ports["pop3"])
    contains(p.utf8(), b"+OK")
    p.user("alice")
    p.pass_(h.users["alice"])
    contains(p.retr(2)[1], "Subject: 你好".encode())
    p.quit()


def test_two_sessions_at_once(h):
    """No lock: each has its list, and what both delete is deleted once."""
    fill(h, [b"1\r\n", b"2\r\n", b"3\r\n"])
    a, b = login(h), login(h)
    a.dele(1)
    b.dele(1)
    b.dele(2)
    a.quit()
    equal(b.stat()[0], 1)
    contains(refused(b.retr, 1), "no such message")
    b.quit()
    c = login(h)
    equal(c.stat()[0], 1)
    c.quit()


def test_ten_thousand_pipelined(h):
    """All asked for at once by a client that only reads afterwards."""
    h.clear("alice")
    n, text = 10000, TEXT % (b"many", b"x" * 200 + b"\r\n")
    with h.imap("alice", select="INBOX") as t:
        t.append(text)
        have = 1
        while have < n:
            more = min(have, n - have)
            t.ok(f"COPY 1:{more} INBOX")
            have += more
    with client(h, "alice") as t:
        began = time.monotonic()
        sender = threading.Thread(target=t.sock.sendall, args=(b"".join(b"RETR %d\r\n" % i for i in range(1, n + 1)),))
        sender.start()
        wanted = (len(b"+OK %d octets\r\n" % len(text)) + len(text) + 3) * n
        got = 0
        while got < wanted:
            t.fill()
            got, t.have = got + len(t.have), b""
        sender.join()
        seconds = time.monotonic() - began
        equal(got, wanted, "bytes")
        say(t, "QUIT")
    print(f"         {n} RETR in {seconds:.2f} s")
    check(seconds < (20 if sanitized(h.pids("backend")[0]) else 4), "slow:", seconds)
    h.clear("alice")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
