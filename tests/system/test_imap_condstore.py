"""CONDSTORE and QRESYNC (RFC 7162): clients that go away and come back, held against the truth."""
import random
import re
import sys
import threading

from harness import check, contains, equal, joined, main, text_of

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Later")


def message(n):
    return f"From: a@example.org\r\nTo: alice@example.test\r\nSubject: number {n}\r\n\r\nbody {n}\r\n".encode()


def numbers(text):
    """A set of UIDs as a set of numbers."""
    found = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found


def as_set(uids):
    return ",".join(str(u) for u in sorted(uids))


def code(untagged, name):
    found = re.findall(r"\[" + name + r" (\d+)\]", joined(untagged))
    return int(found[-1]) if found else None


class Mirror:
    """What a client keeps of a mailbox, brought up to date as RFC 7162 6 says."""

    def __init__(self, name):
        self.name = name
        self.validity = self.modseq = 0
        self.flags = {}  # UID -> flags
        self.whole = 0  # the client has asked for all up to here
        self.t = None

    def open(self, h, known=None, match=""):
        self.t = h.imap("alice")
        contains(joined(self.t.ok("ENABLE QRESYNC")), "ENABLED QRESYNC")
        if not self.validity:
            got = self.t.ok(f"SELECT {self.name}")
            self.validity = code(got, "UIDVALIDITY")
            self.modseq = code(got, "HIGHESTMODSEQ")
            self.take(self.t.ok("UID FETCH 1:* (FLAGS MODSEQ)"), self.modseq)
            self.whole = code(got, "UIDNEXT") - 1
            return
        known = "" if known is None else f" {known}"
        got = self.t.ok(f"SELECT {self.name} (QRESYNC ({self.validity} {self.modseq}{known}{match}))")
        equal(code(got, "UIDVALIDITY"), self.validity)
        self.take(got, code(got, "HIGHESTMODSEQ"))
        if code(got, "UIDNEXT") > self.whole + 1:  # told by EXISTS and not fetched then
            self.take(self.t.ok(f"UID FETCH {self.whole + 1}:* (FLAGS MODSEQ)"), self.modseq)
            self.whole = code(got, "UIDNEXT") - 1

    def take(self, untagged, modseq=None):
        """The answers of a command; modseq: its HIGHESTMODSEQ, else the highest one seen."""
        highest, fetched = self.modseq, False
        for r in untagged:
            text = text_of(r)
            gone = re.match(r"\* VANISHED (\(EARLIER\) )?([0-9:,]+)$", text)
            if gone:
                check(not (gone.group(1) and fetched), "VANISHED (EARLIER) behind a FETCH")
                for uid in numbers(gone.group(2)):
                    check(gone.group(1) or uid in self.flags or self.fresh(uid), "VANISHED of what nobody saw", uid)
                    self.flags.pop(uid, None)
            check(not re.match(r"\* \d+ EXPUNGE", text), "EXPUNGE after ENABLE QRESYNC")
            if re.match(r"\* \d+ FETCH ", text):
                fetched = True
                uid = int(re.search(r"\bUID (\d+)", text).group(1))
                highest = max(highest, int(re.search(r"MODSEQ \((\d+)\)", text).group(1)))
                flags = re.search(r"FLAGS \(([^)]*)\)", text)
                if flags:
                    self.flags[uid] = frozenset(flags.group(1).split())
        said = code(untagged, "HIGHESTMODSEQ")
        self.modseq = modseq or said or highest

    def fresh(self, uid):
        """A message this client was told of by EXISTS alone."""
        return uid > max(self.flags, default=0)

    def leave(self):
        self.t.close()
        self.t = None


def truth(h, name):
    with h.imap("alice") as t:
        t.ok(f"EXAMINE {name}")
        got = {}
        for r in t.ok("UID FETCH 1:* FLAGS"):
            text = text_of(r)
            uid = int(re.search(r"\bUID (\d+)", text).group(1))
            got[uid] = frozenset(re.search(r"FLAGS \(([^)]*)\)", text).group(1).split())
        return got


def make(h, name, messages):
    t = h.imap("alice")
    for other in (name, name + "2"):
        t.command(f"DELETE {other}")
        t.ok(f"CREATE {other}")
    for i in range(messages):
        t.append(message(i + 1), name)
    t.ok(f"SELECT {name}")
    return t


def disturb(t, name, rng, uids):
    """One change of somebody else."""
    what = rng.randrange(8)
    some = as_set(rng.sample(sorted(uids), min(len(uids), rng.randrange(1, 5)))) if uids else "1"
    if what < 4:
        t.ok(f"UID STORE {some} {rng.choice('+-')}FLAGS.SILENT ({rng.choice(FLAGS)})")
    elif what == 4:
        t.ok(f"UID STORE {some} +FLAGS.SILENT (\\Deleted)")
        t.ok(f"UID EXPUNGE {some}")
    elif what == 5:
        t.ok(f"UID MOVE {some} {name}2")
    elif what == 6:
        t.append(message(rng.randrange(1000)), name)
    else:
        t.ok(f"UID COPY {some} {name}")


def test_capabilities(h):
    with h.imap() as t:
        words = t.ok("CAPABILITY")[0][0].split()
        contains(words, "CONDSTORE")
        contains(words, "QRESYNC")


def test_a_mirror_comes_back(h):
    rng = random.Random(7162)
    with make(h, "Mirror", 40) as other:
        m = Mirror("Mirror")
        m.open(h)
        equal(m.flags, truth(h, "Mirror"), "the first time")
        for visit in range(40):
            m.leave()
            for _ in range(rng.randrange(6)):
                disturb(other, "Mirror", rng, truth(h, "Mirror"))
            known, match = None, ""
            if visit % 3 == 1:
                known = f"1:{max(m.flags, default=1) + 50}"
            if visit % 3 == 2 and m.flags:
                uids = sorted(m.flags)
                picked = sorted(rng.sample(range(len(uids)), min(len(uids), 5)))
                match = f" ({as_set(i + 1 for i in picked)} {as_set(uids[i] for i in picked)})"
            if visit % 7 == 6:
                m.modseq += 1 << 40  # of a life that was never lived: the full answer
            m.open(h, known, match)
            equal(m.flags, truth(h, "Mirror"), f"visit {visit}")


def test_a_mirror_stays(h):
    """The same while it is connected, by what its own commands tell; at times it loses the connection."""
    rng = random.Random(9586)
    with make(h, "Stay", 30) as other:
        m = Mirror("Stay")
        m.open(h)
        for turn in range(80):
            for _ in range(rng.randrange(3)):
                disturb(other, "Stay", rng, truth(h, "Stay"))
            said = rng.randrange(5)
            uids = sorted(m.flags)
            some = as_set(rng.sample(uids, min(3, len(uids)))) if uids else "1"
            if said == 0:
                m.take(m.t.ok("NOOP"))
            elif said == 1:
                m.take(m.t.ok(f"UID FETCH {some} (UID FLAGS MODSEQ)"))
            elif said == 2:  # numbers: no VANISHED meanwhile, and a HIGHESTMODSEQ that waits for it
                m.take(m.t.ok("FETCH 1:* (UID FLAGS MODSEQ)", also=("NO", "BAD")))
            elif said == 3:
                m.take(m.t.ok(f"UID STORE {some} +FLAGS ({rng.choice(FLAGS)})"))
            else:
                m.take(m.t.ok(f"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {m.modseq} VANISHED)"))
            if turn % 5 == 4:
                m.leave()
                m.open(h)
                equal(m.flags, truth(h, "Stay"), f"turn {turn}")


def test_conditional_store_is_atomic(h):
    """Many sessions count with UNCHANGEDSINCE: of each round one wins."""
    with make(h, "Atomic", 1) as t:
        wins = []

        def race(n):
            with h.imap("alice") as s:
                s.ok("SELECT Atomic (CONDSTORE)")
                for _ in range(20):
                    seen = int(re.search(r"MODSEQ \((\d+)\)", joined(s.ok("UID FETCH 1 (MODSEQ)"))).group(1))
                    s.ok(f"UID STORE 1 (UNCHANGEDSINCE {seen}) FLAGS.SILENT ($t{n}x{_ % 4})")
                    if "[MODIFIED 1]" not in s.status_line:
                        wins.append(seen)

        threads = [threading.Thread(target=race, args=(n,)) for n in range(4)]
        for x in threads:
            x.start()
        for x in threads:
            x.join()
        check(wins, "somebody wins")
        equal(len(wins), len(set(wins)), "winners of one state")
        t.ok("NOOP")


def test_modified_and_silent(h):
    with make(h, "Cond", 5) as t:
        t.ok("ENABLE CONDSTORE")
        at = code(t.ok("NOOP") or [["[HIGHESTMODSEQ 0]"]], "HIGHESTMODSEQ")
        at = code(t.ok("SELECT Cond"), "HIGHESTMODSEQ")
        got = joined(t.ok("UID STORE 2 +FLAGS.SILENT (\\Seen)"))
        check(re.fullmatch(r"\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)", got), got)
        got = joined(t.ok(f"STORE 1:3 (UNCHANGEDSINCE {at}) +FLAGS.SILENT (\\Flagged)"))
        contains(t.status_line, "[MODIFIED 2]")
        check(re.search(r"\* 2 FETCH \(UID 2 FLAGS \(\\Seen\) MODSEQ \(\d+\)\)", got), got)
        got = joined(t.ok(f"UID FETCH 1:* (UID) (CHANGEDSINCE {at})"))
        equal(re.findall(r"UID (\d+)", got), ["1", "2", "3"], "changed since")


def test_answers_of_expunge_and_close(h):
    with make(h, "Gone", 4) as t:
        t.ok("UID STORE 1 +FLAGS (\\Deleted)")
        t.ok("EXPUNGE")
        check("HIGHESTMODSEQ" not in t.status_line, "nobody asked:", t.status_line)
        t.ok("ENABLE QRESYNC")
        t.ok("UID STORE 2,3 +FLAGS.SILENT (\\Deleted)")
        equal(joined(t.ok("UID EXPUNGE 2")), "* VANISHED 2")
        contains(t.status_line, "[HIGHESTMODSEQ ")
        t.ok("CLOSE")
        check("HIGHESTMODSEQ" not in t.status_line, t.status_line)
        equal(sorted(truth(h, "Gone")), [4])


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
