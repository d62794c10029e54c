"""Promises D1, D17 and D14 on the whole program: all its system calls are recorded while real clients talk to it. Before
the first byte of a positive answer leaves for the client, the calls that make its change durable have ended, in this
order: the record that holds it was written to a volume; that volume was synced. The key file follows by checkpoints
(test_order_store). A message with a file of its own: that file and its folder, first.

Skipped where a process may not be traced."""
import os
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from harness import House, Skip, Wrong, check, contains, equal, main  # noqa: E402
from test_order_store import events, path_of  # noqa: E402

PROGRAM = ""
CALLS = "write,writev,sendto,sendmsg,pwrite64,pwritev,pwritev2,fsync,fdatasync,openat"


class Traced(House):
    """A post house under strace from its first moment."""

    def __init__(self):
        if not shutil.which("strace"):
            raise Skip("strace is not installed")
        tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            raise Skip("tracing is not allowed here: " + tried.stderr.strip())
        super().__init__(PROGRAM, start=False, env={"ASAN_OPTIONS": "detect_leaks=0"})
        self.trace = os.path.join(self.dir, "strace")
        self.wrap = ("strace", "-f", "-y", "-s", "900", "-e", "abbrev=none", "-e", f"trace={CALLS}", "-o", self.trace)
        self.start()

    def found(self):
        """Ends the post house; its calls in order of their beginnings."""
        self.stop()
        with open(self.trace, errors="replace") as f:
            return Calls(sorted(events(f.read())))


class Calls:
    def __init__(self, found):
        self.found = found

    def next(self, after, what):
        """End of the first call begun behind `after` that went well and is what is looked for, and its path."""
        for start, end, call, args, result in self.found:
            if start > after and result >= 0 and what(call, args):
                return end, path_of(args)
        return None, ""

    def answer(self, text, after=-1):
        """Where the first call began that says so to a client."""
        for start, _, call, args, _ in self.found:
            if start > after and call in ("sendto", "write", "writev", "sendmsg") and "socket:" in args and text in args:
                return start
        raise Wrong(f"nobody was told {text!r}")

    def record(self, mark, after=-1):
        """End of the write of the record with that text in it, and its volume."""
        return self.next(after, lambda c, a: c == "pwritev" and path_of(a).endswith(".vol") and 'iov_base="PHR1' in a
                         and mark in a)

    def flushed(self, mark, said, after=-1):
        """The record with `mark` was made durable step by step before the client heard `said`."""
        told = self.answer(said, after)
        end, volume = self.record(mark, after)
        steps = [(end, "the record's write")]
        for name, what in (
                (f"the sync of {volume}", lambda c, a: c == "fdatasync" and path_of(a) == volume),):
            end, _ = self.next(end if end is not None else sys.maxsize, what)
            steps.append((end, name))
        for end, name in steps:
            check(end is not None and end < told, f"{said!r} was said at {told}, but {name} ended at {end}")
        return told


def mail(mark, more=""):
    return f"From: alice@example.test\r\nMessage-ID: <{mark}@order.example>\r\nSubject: order\r\n\r\n{more or 'text'}\r\n"


def test_smtp(_):
    h = Traced()
    ids = [h.send(body=mail(f"m{i}")) for i in range(5)]
    with h.smtp("submission") as t:
        equal(t.auth("alice", h.users["alice"])[0], 235)
        ids.append(t.message("alice@example.test", ["bob@example.test"], mail("s")))
    with h.smtp() as t:
        content = mail("chunks").encode()
        t.envelope("a@example.org", ["alice@example.test", "bob@example.test"])
        t.send(b"BDAT %d LAST\r\n" % len(content) + content)
        ids.append(t.reply(250)[1][0].split()[-1])
    calls = h.found()
    for queue_id in ids:
        calls.flushed(queue_id, f"Accepted as {queue_id}")


def test_lmtp(_):
    h = Traced()
    with h.lmtp() as t:
        t.envelope("a@example.org", ["alice@example.test", "bob@example.test"])
        t.say("DATA", 354)
        t.send(mail("l") + ".\r\n")
        queue_id = t.reply(250)[1][0].split()[-1]
        t.reply(250)
    calls = h.found()
    for name in ("alice", "bob"):
        calls.flushed(queue_id, f"<{name}@example.test> Delivered as {queue_id}")


def test_imap(_):
    """D1 for APPEND, and D13: what other commands change is durable before their OK."""
    h = Traced()
    with h.imap(select="INBOX") as t:
        t.append(mail("appended"))
        t.tag = 100
        for command in ("STORE 1 +FLAGS (\\Flagged)", "COPY 1 Sent", "CREATE New", "MOVE 1 New", "RENAME New Newer",
                        "SUBSCRIBE Newer", "DELETE Newer"):
            t.ok(command)
    calls = h.found()
    told = calls.flushed("appended@order.example", "[APPENDUID ")
    for number in range(101, 108):
        told = calls.flushed("PHR1", f"a{number} OK", told)


def test_file_of_its_own(_):
    """A large message has a file; a name was created, so its folder is synced, too."""
    h = Traced()
    queue_id = h.send(body=mail("large", "0123456789abcdef\r\n" * 150000))
    with h.imap() as t:
        t.append(mail("large", "0123456789abcdef\r\n" * 150000))
    calls = h.found()
    begun = calls.answer("354 ")
    for said in (f"Accepted as {queue_id}", "[APPENDUID "):
        file_end, path = calls.next(begun, lambda c, a: c == "fsync" and "/big/" in path_of(a))
        check(file_end is not None, "the file of a large message was not synced")
        folder_end, _ = calls.next(file_end, lambda c, a: c == "fsync" and path_of(a) == os.path.dirname(path))
        record_start = next((s for s, _, c, a, _ in calls.found if s > file_end and c == "pwritev" and "PHR1" in a), None)
        check(folder_end is not None and record_start is not None and folder_end < record_start,
              f"the folder was synced at {folder_end}, its record written at {record_start}")
        begun = calls.flushed("PHR1", said, file_end)


def test_many_at_once(_):
    """D17: one flush may serve many, but no answer leaves before the flush of its own group."""
    h = Traced()
    ids, wrong = [], []

    def sender(n):
        try:
            with h.smtp(timeout=60) as t:
                for i in range(6):
                    ids.append(t.message("a@example.org", ["alice@example.test"], mail(f"{n}.{i}")))
        except Exception as e:  # told by the main thread
            wrong.append(e)

    threads = [threading.Thread(target=sender, args=(n,)) for n in range(50)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not wrong, wrong)
    calls = h.found()
    equal(len(set(ids)), 300, "messages")
    records = {calls.record(i)[0] for i in ids}
    check(len(records) < 250, f"{len(records)} flushes for 300 messages: nobody shared one")
    for queue_id in ids:
        calls.flushed(queue_id, f"Accepted as {queue_id}")


def test_pop3(_):
    """D14: deletions are durable before QUIT's +OK; DELE alone writes nothing."""
    h = Traced()
    for i in range(2):
        h.send(body=mail(f"p{i}"))

    def session(*lines):
        with h.talk("pop3") as t:
            t.line()
            for line in ("USER alice", "PASS " + h.users["alice"], *lines):
                t.put(line)
                contains(t.line(), "+OK")

    session("DELE 1", "DELE 2")  # and the connection is lost
    session("DELE 1", "QUIT")
    calls = h.found()
    lost = calls.answer("+OK 2 is marked")
    again = calls.answer("+OK 1 is marked", lost)
    record, _ = calls.next(lost, lambda c, a: c == "pwritev" and 'iov_base="PHR1' in a)
    check(record > again, "something was written before QUIT")
    calls.flushed("PHR1", "+OK Goodbye", again)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], own_houses=True))
