"""SORT, THREAD, PARTIAL and ESEARCH as imaplib and a raw client see them, held against models in Python."""
import imaplib
import random
import re
import sys

from harness import contains, equal, joined, main


def numbers(response, word):
    for r in response:
        m = re.match(rf"\* {word}((?: \d+)*)$", r[0])
        if m:
            return [int(x) for x in m.group(1).split()]
    return None


def base(subject):
    while True:
        shorter = re.sub(r"(?i)^\s*(?:(?:\[[^][]*\]\s*)*(?:re|fwd?)\s*(?:\[[^][]*\]\s*)?:|\s)|(?:\(fwd\)|\s)$", "", subject)
        if shorter == subject:
            shorter = re.sub(r"^\[[^][]*\]\s*(?=.)", "", subject)
        if shorter == subject:
            return subject.upper()
        subject = shorter


class Model:
    def __init__(self, seed, n):
        rnd = random.Random(seed)
        self.messages = []
        for i in range(n):
            subject = "".join(rnd.choice(["", "", "Re: ", "Fwd: ", "[list] ", "re[2]: "]) for _ in range(2))
            subject += rnd.choice(["plan", "Plan", "lunch", "zebra", "Apple"]) + rnd.choice(["", "", " (fwd)"])
            if rnd.random() < 0.1:  # longer than what is kept of a subject to compare
                subject += " long" * 60 + rnd.choice("abc")
            self.messages.append({
                "subject": subject, "minute": rnd.randrange(50), "zone": rnd.choice([0, 2, -5]),
                "from": rnd.choice(["adam", "Bert", "carl"]), "to": rnd.choice(["x", "Y", ""]),
                "body": "b" * rnd.randrange(3)})

    def text(self, m):
        hour = 12 + m["zone"]
        zone = f"{'-' if m['zone'] < 0 else '+'}{abs(m['zone']):02}00"
        to = f"To: {m['to']}@example.org\r\n" if m["to"] else ""
        return (f"From: {m['from']}@example.org\r\n{to}Subject: {m['subject']}\r\n"
                f"Date: Mon, 05 Jan 2026 {hour:02}:{m['minute']:02}:00 {zone}\r\n\r\n{m['body']}\r\n")

    KEYS = {"SUBJECT": lambda s, m: base(m["subject"]), "DATE": lambda s, m: m["minute"], "FROM": lambda s, m: m["from"].upper(),
            "TO": lambda s, m: m["to"].upper(), "SIZE": lambda s, m: len(s.text(m)), "CC": lambda s, m: ""}

    def sorted(self, program):
        order = list(range(len(self.messages)))
        for reverse, key in reversed(program):
            # stable both ways: ties stay in the order of numbers
            values = [self.KEYS[key](self, m) for m in self.messages]
            ranks = {v: r for r, v in enumerate(sorted(set(values)))}
            order.sort(key=lambda i: -ranks[values[i]] if reverse else ranks[values[i]])
        return [i + 1 for i in order]


def filled(h, name, texts):
    t = h.imap("alice")
    t.command(f"DELETE {name}")
    t.ok(f"CREATE {name}")
    for text in texts:
        t.append(text, name)
    t.ok(f"SELECT {name}")
    return t


def test_sort_model(h):
    model = Model(5, 300)  # so many that what is compared is kept for the next time
    rnd = random.Random(6)
    with filled(h, "Sorted", [model.text(m) for m in model.messages]) as t:
        for _ in range(60):
            program = [(rnd.random() < 0.5, rnd.choice(list(model.KEYS))) for _ in range(rnd.randrange(1, 4))]
            seen, kept = set(), []
            for reverse, key in program:
                if key not in seen:
                    kept.append((reverse, key))
                seen.add(key)
            words = " ".join(("REVERSE " if r else "") + k for r, k in program)
            want = model.sorted(kept)
            equal(numbers(t.ok(f"SORT ({words}) UTF-8 ALL"), "SORT"), want, words)
            page = ",".join(str(n) for n in want[10:20])
            contains(joined(t.ok(f"SORT RETURN (PARTIAL 11:20) ({words}) UTF-8 ALL")), f"PARTIAL (11:20 {page})")


def test_thread(h):
    texts = []
    for i in range(30):  # three threads of ten, each a chain
        refs = f"References: <{i - 3}@x>\r\n" if i >= 3 else ""
        texts.append(f"Message-ID: <{i}@x>\r\n{refs}Subject: thread {i % 3}\r\nDate: Mon, 05 Jan 2026 12:{i:02}:00 +0000\r\n\r\nb\r\n")
    with filled(h, "Threads", texts) as t:
        want = "".join("(" + " ".join(str(n + 1) for n in range(first, 30, 3)) + ")" for first in range(3))
        contains(joined(t.ok("THREAD REFERENCES UTF-8 ALL")), f"* THREAD {want}")
        flat = "".join("(" + str(first + 1) + " " + "".join(f"({n + 1})" for n in range(first + 3, 30, 3)) + ")"
                       for first in range(3))
        contains(joined(t.ok("THREAD ORDEREDSUBJECT UTF-8 ALL")), f"* THREAD {flat}")


def test_kept(h):
    """Answers made of what the first command kept are those of the first, also for what came since and what is cut."""
    texts = []
    for i in range(290):
        refs = "".join(f" <{k}@x>" for k in range(max(0, i - 100), i, 1 if i % 50 == 0 else 20))
        date = f"Date: Mon, 05 Jan 2026 12:{i % 60:02}:00 +0000\r\n" if i % 7 else ""
        texts.append(f"Message-ID: <{i}@x>\r\nReferences:{refs}\r\nSubject: s{i % 5}\r\n{date}\r\nb\r\n")
    commands = ("THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "SORT (SUBJECT DATE) UTF-8 ALL",
                "SORT (REVERSE DATE) UTF-8 ALL", "SEARCH SENTON 5-Jan-2026", "SORT (DATE) UTF-8 BODY b")
    with filled(h, "Kept", texts) as t:
        for _ in range(2):
            first = [joined(t.ok(c)) for c in commands]
            equal([joined(t.ok(c)) for c in commands], first)
            contains(first[0], "290")
            t.ok("STORE 1:100 +FLAGS.SILENT (\\Deleted)")
            t.ok("EXPUNGE")
            for text in texts[:100]:
                t.append(text, "Kept")
            t.ok("NOOP")


def test_imaplib(h):
    filled(h, "Lib", ["Subject: b\r\n\r\n1\r\n", "Subject: a\r\n\r\n2\r\n"]).close()
    c = imaplib.IMAP4("127.0.0.1", h.ports["imap"])
    c.login("alice", h.users["alice"])
    c.select("Lib")
    equal(c.sort("SUBJECT", "UTF-8", "ALL"), ("OK", [b"2 1"]))
    equal(c.thread("REFERENCES", "UTF-8", "ALL")[0], "OK")
    equal(c.uid("SORT", "(REVERSE SUBJECT)", "UTF-8", "ALL"), ("OK", [b"1 2"]))
    c.logout()


def test_several_mailboxes(h):
    for name in ("Multi/a", "Multi/b"):
        filled(h, name, ["Subject: needle\r\n\r\nx\r\n", "Subject: hay\r\n\r\nx\r\n"]).close()
    with h.imap() as t:
        text = joined(t.ok("ESEARCH IN (subtree Multi) RETURN (ALL) SUBJECT needle"))
        for name in ("Multi/a", "Multi/b"):
            contains(text, f'MAILBOX "{name}" UIDVALIDITY')
        t.ok("SELECT Multi/a")
        contains(joined(t.ok("UID FETCH 1:* (UID) (PARTIAL -1:-1)")), "UID 2")
        contains(joined(t.ok("UID SEARCH RETURN (PARTIAL -1:-5) YOUNGER 600 SAVEDSINCE 1-Jan-2020")), "PARTIAL (-1:-5 1:2)")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
