"""Input that means harm: memory stays bounded, nobody else notices, nothing dies."""
import contextlib
import re
import resource
import socket
import sys
import threading
import time

from harness import Wrong, check, contains, equal, main, pss_kib, sanitized, wait_until

MOST_KIB = 24 * 1024  # what one hostile client may cost all roles together, for a while


class Watch:
    """Memory of all roles while something is going on, and a bystander whose mail must go through."""

    def __init__(self, h, most_kib=MOST_KIB, slowest=3.0):
        self.h, self.most, self.slowest = h, most_kib, slowest

    def roles(self):
        return [p for p in self.h.all_pids() if p != self.h.pid]

    def __enter__(self):
        self.before = self.h.pids()
        self.low = pss_kib(self.roles())
        self.peak, self.worst, self.wrong, self.stop, self.sent = self.low, 0.0, "", False, 0
        self.threads = [threading.Thread(target=self.memory), threading.Thread(target=self.bystander)]
        for t in self.threads:
            t.start()
        return self

    def memory(self):
        while not self.stop:
            with contextlib.suppress(OSError, ValueError, Wrong):
                self.peak = max(self.peak, pss_kib(self.roles()))
            time.sleep(0.02)

    def bystander(self):
        while not self.stop:
            began = time.monotonic()
            try:
                self.h.send("bob", "Subject: bystander\r\n\r\nx\r\n")
                with self.h.imap("bob", select="INBOX") as t:
                    t.ok("NOOP")
                self.sent += 1
            except (OSError, EOFError, Wrong) as e:
                self.wrong = f"a bystander was hurt: {e}"
            self.worst = max(self.worst, time.monotonic() - began)
            time.sleep(0.02)

    def __exit__(self, kind, *_):
        self.stop = True
        for t in self.threads:
            t.join()
        if kind:
            return
        check(not self.wrong, self.wrong)
        check(self.sent > 0, "no bystander got through")
        slow = sanitized(self.before["backend"][0])
        check(slow or self.peak - self.low < self.most, f"memory of all roles went from {self.low} to {self.peak} KiB")
        check(self.worst < self.slowest * (4 if slow else 1), f"a bystander waited {self.worst:.1f} s")
        equal(self.h.pids(), self.before, "processes")


def pour(t, piece, times):
    """Sends until the server has had enough."""
    sent = 0
    with contextlib.suppress(OSError):
        for _ in range(times):
            t.sock.sendall(piece)
            sent += len(piece)
    return sent


def services(h):
    return [(name, h.ports[name]) for name in ("smtp", "submission", "imap", "pop3")]


def test_megabytes_without_line_end(h):
    for fill in (b"x", b"\0", b"(", b"\xff", b"{"):
        for name, _ in services(h):
            with Watch(h):
                t = h.talk(name)
                t.line()
                pour(t, fill * 65536, 320)
                t.close()


def test_megabytes_without_line_end_in_sessions(h):
    for fill in (b"x", b"(", b"\0"):
        with Watch(h), h.imap(select="INBOX") as t:
            pour(t, b"a9 FETCH 1 " + fill * 65536, 320)
    with Watch(h):
        t = h.talk("pop3")
        t.line()
        t.put("USER alice")
        t.line()
        t.put("PASS " + h.users["alice"])
        t.line()
        pour(t, b"x" * 65536, 320)
        t.close()
    with Watch(h), h.smtp("submissions") as t:
        pour(t, b"AUTH PLAIN " + b"A" * 65536, 160)


def test_message_of_one_line(h):
    """40 MB without a line end: too long to be mail or not, but no more than its octets."""
    with Watch(h), h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        pour(t, b"x" * 1000000, 40)
        t.send(b"\r\n.\r\n")
        t.reply()
    with Watch(h), h.smtp() as t:  # in the header
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        pour(t, b"Subject: " + b"x" * 1000000, 40)
        t.send(b"\r\n\r\n.\r\n")
        t.reply()


def deliver(h, content):
    """Whatever the answer, there is one; what was taken can be looked at in every way."""
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"])
        t.send(b"BDAT %d LAST\r\n" % len(content))
        t.sock.sendall(content)
        code, lines = t.reply()
    if code != 250:
        return code
    with h.imap(select="INBOX") as t:
        n = t.count()
        for items in ("ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "BODY.PEEK[1]", "BODY.PEEK[HEADER]",
                      "BODY.PEEK[1.1.1.1.1.MIME]", "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]"):
            status, _ = t.command(f"FETCH {n} {items}")
            check(status.startswith(("OK", "NO")), items, status)
        t.ok("SEARCH TEXT nothing")
    return code


def hostile_messages():
    head = b"From: a@example.org\r\nSubject: x\r\n"
    yield "a million parentheses in an address", b"From: " + b"(" * 1000000 + b"\r\nTo: " + b"<" * 100000 + b"\r\n\r\nx\r\n"
    yield "10,000 header fields", b"".join(b"X-%d: y\r\n" % i for i in range(10000)) + b"\r\nx\r\n"
    yield "10,000 Received fields of nothing", b"Received:\r\n" * 90 + b"X:\r\n" * 100000 + b"\r\n"
    yield "10,000 parts", (head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 10000 +
                           b"--b--\r\n")
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(5000))
    yield "5,000 nested multiparts", head + nested + b"\r\nx\r\n"
    yield "nested messages", head + b"Content-Type: message/rfc822\r\n\r\n" * 5000 + b"x\r\n"
    yield "100,000 addresses", b"To: " + b",\r\n ".join(b"a%d@example.org" % i for i in range(100000)) + b"\r\n\r\nx\r\n"
    yield "encoded words", b"Subject: " + b"=?utf-8?q?=41?= " * 100000 + b"\r\n\r\nx\r\n"
    yield "parameters", head + b"Content-Type: text/plain" + b"".join(
        b";\r\n a%d*0*=utf-8''%%41" % i for i in range(20000)) + b"\r\n\r\nx\r\n"
    yield "a group that never ends", b"To: " + b"g:" * 200000 + b"\r\n\r\nx\r\n"
    yield "references", b"References: " + b"<a@b>\r\n " * 200000 + b"\r\n\r\nx\r\n"
    yield "only line ends", b"\r\n" * 5000000
    yield "a long boundary", head + b"Content-Type: multipart/mixed; boundary=\"" + b"b" * 500000 + b"\"\r\n\r\nx\r\n"
    yield "a boundary in every line", (head + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
                                       b"--b\r\n" * 500000)
    yield "html", (head + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 500000 + b"&" * 100000 + b"<!--" * 100000)
    yield "bad base64", (head + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                         b"=A=B" * 500000 + b"\r\n")


def test_hostile_messages(h):
    for what, content in hostile_messages():
        with Watch(h):
            began = time.monotonic()
            try:
                deliver(h, content)
            except (Wrong, EOFError) as e:
                raise Wrong(f"{what}: {e}") from e
            took = time.monotonic() - began
            check(took < 12, f"{what} took {took:.1f} s")
    h.clear()


def test_hostile_commands(h):
    with Watch(h), h.imap(select="INBOX") as t:
        for line in ("SEARCH " + "(" * 60000, "SEARCH " + "NOT " * 15000 + "ALL", "SEARCH " + "OR " * 15000 + "ALL ALL",
                     "FETCH " + "1," * 30000 + "1 FLAGS", "FETCH 1:4294967295 (" + "FLAGS " * 9000 + "FLAGS)",
                     "FETCH 1 BODY[" + "1." * 30000 + "1]", 'LIST "" ' + "*%" * 20000, 'LIST "" (' + '"%" ' * 9000 + '"%")',
                     "STORE 1 +FLAGS (" + " ".join(f"k{i}" for i in range(9000)) + ")", "CREATE " + "a/" * 30000 + "a",
                     "SUBSCRIBE " + "x" * 60000, "STATUS INBOX (" + "MESSAGES " * 7000 + "MESSAGES)",
                     "ID (" + '"a" "b" ' * 7000 + '"a" "b")', "ENABLE" + " X" * 30000,
                     "UID SEARCH UID " + ",".join(str(i * 2 + 1) for i in range(10000))):
            status, _ = t.command(line)
            check(status[:3] in ("OK ", "NO ", "BAD"), line[:60], status)
        t.ok("NOOP")
    with Watch(h), h.imap() as t:  # a list that only grows by names nobody may make
        for _ in range(15):
            t.command("CREATE " + "n" * 250)


def test_literals_of_4_gib(h):
    with Watch(h):
        for start in (b"a1 LOGIN {4294967295+}\r\n", b"a1 LOGIN {4294967295}\r\n", b"a1 {4294967295+}\r\n",
                      b"a1 ID ({99999999999999999999999999+}\r\n"):
            t = h.imap(None)
            t.sock.sendall(start)
            pour(t, b"x" * 65536, 100)
            t.close()
        for start in (b"a1 APPEND INBOX {4294967295+}\r\n", b"a1 CREATE {4294967295+}\r\n",
                      b"a1 APPEND {4294967295+}\r\n", b"a1 SEARCH TEXT {4294967295+}\r\n"):
            t = h.imap()
            t.sock.sendall(start)
            pour(t, b"x" * 65536, 300)
            t.close()
        t = h.imap()
        t.sock.sendall(b"a1 SEARCH " + b"TEXT {1+}\r\nx " * 5000 + b"\r\n")
        t.close()
        with h.imap() as t:
            t.ok("NOOP")


def test_a_byte_a_second(h):
    """A hundred clients that send a byte now and then cost their connection and no more."""
    with Watch(h) as w:
        clients = []
        for i in range(100):
            name, port = services(h)[i % 4]
            clients.append(socket.create_connection(("127.0.0.1", port), 10))
        for c in b"EHLO a.example\r"[:6]:
            for s in clients:
                with contextlib.suppress(OSError):
                    s.sendall(bytes([c]))
            time.sleep(0.5)
        for s in clients:
            s.close()
        del w


def test_a_thousand_that_say_nothing(h):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with Watch(h, most_kib=48 * 1024):
        sockets = []
        for i in range(1000):
            name, port = services(h)[i % 4]
            sockets.append(socket.create_connection(("127.0.0.1", port), 10))
        time.sleep(1)
        for s in sockets:
            s.settimeout(10)
            check(s.recv(10), "no greeting")
        for s in sockets:
            s.close()
    wait_until(lambda: sum(r.get("connections", 0) for r in h.status()["roles"]) < 10, what="their end")


def test_a_thousand_that_vanish(h):
    with Watch(h):
        for i in range(1000):
            name, port = services(h)[i % 4]
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                if i % 3:
                    s.sendall(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nhalf")
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: sum(r.get("connections", 0) for r in h.status()["roles"]) < 10, what="their end")


def test_half_handshakes(h):
    with Watch(h):
        sockets = []
        for i in range(200):
            s = socket.create_connection(("127.0.0.1", h.ports["imaps" if i % 2 else "submissions"]), 10)
            s.sendall((b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01\xff\xff" + b"x" * 3000, b"\0" * 100)[i % 3])
            sockets.append(s)
        time.sleep(0.5)
        for s in sockets:
            s.close()


def test_readers_that_stop(h):
    """Clients that ask for much and read nothing: their answers wait in the kernel and in one buffer."""
    with h.imap() as t:
        t.append(b"Subject: much\r\n\r\n" + b"0123456789abcdef\r\n" * 600000)
    with Watch(h):
        stuck = []
        for service in ("imap", "imaps"):
            for _ in range(20):
                t = h.imap("alice", service, select="INBOX")
                t.put("a9 FETCH * (BODY.PEEK[])")
                t.put("a10 FETCH 1:* (BODY.PEEK[])")
                stuck.append(t)
        time.sleep(1.5)
        for t in stuck:
            t.vanish()
    h.clear()


def test_answers_that_are_not_read(h):
    """A pipelining client that reads no replies: the server stops reading too, instead of gathering them."""
    with Watch(h):
        t = h.talk("smtp", timeout=1)
        pour(t, b"NOOP\r\n" * 10000, 300)
        t.close()
        t = h.imap()
        t.sock.settimeout(1)
        pour(t, b"a LIST \"\" *\r\n" * 5000, 300)
        t.close()


def test_wrong_protocols(h):
    for name in ("smtp", "imap", "pop3", "imaps", "submissions"):
        for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160),
                      b"SSH-2.0-OpenSSH\r\n", bytes(range(256)) * 10):
            s = socket.create_connection(("127.0.0.1", h.ports[name]), 10)
            s.settimeout(0.3)
            with contextlib.suppress(OSError):
                s.sendall(words)
                while s.recv(65536):
                    pass
            s.close()
    h.send(body="Subject: unhurt\r\n\r\nx\r\n")


def test_guessing_passwords(h):
    """Guesses are slow for the guesser, and the good log-in of another address goes through."""
    def guess(n):
        with contextlib.suppress(OSError, EOFError, Wrong):
            with h.smtp("submissions") as t:
                for i in range(5):
                    code, _ = t.auth("alice", f"guess {n}.{i}")
                    check(code in (535, 454), code)

    with Watch(h, most_kib=160 * 1024, slowest=8):  # the hashes' memory: 19 MiB each, a few at a time
        threads = [threading.Thread(target=guess, args=(n,)) for n in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


def test_still_well(h):
    status = h.status()
    for r in status["roles"]:
        equal(r["restarts"], 0, f"restarts of {r['role']}")
    text = h.log()
    check(not re.search(r"level=(alert|crit|emerg)", text), "alarms in the log")
    contains(h.send(body="Subject: the end\r\n\r\nx\r\n"), "0")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
