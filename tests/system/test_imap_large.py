"""Large mailboxes and many folders: right answers, and nobody waits for another's long command. 8,000 messages and
300 folders, or as POSTHOUSE_LARGE="messages folders" says."""
import os
import re
import sys
import threading

from harness import check, contains, equal, joined, main

MESSAGES, FOLDERS = (int(n) for n in os.environ.get("POSTHOUSE_LARGE", "8000 300").split())
SEED = 500


def message(n):
    return f"From: s{n % 7}@example.org\r\nTo: alice@example.test\r\nSubject: number {n}\r\n\r\nbody {n}\r\n".encode()


def numbers(text):
    found = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found


def fill(t, name):
    """MESSAGES of them: some appended at once, then the mailbox is copied into itself."""
    t.ok(f"CREATE {name}")
    for first in range(0, SEED, 50):
        parts = b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in (message(n) for n in range(first, first + 50)))
        t.ok(b"APPEND " + name.encode() + parts)
    t.ok(f"SELECT {name}")
    have = SEED
    while have < MESSAGES:
        n = min(have, MESSAGES - have)
        t.ok(f"COPY 1:{n} {name}")
        have += n
    equal(len(found(t, "ALL")), MESSAGES)


def found(t, what):
    """SEARCH's UIDs."""
    got = re.search(r" ALL ([0-9:,]+)", joined(t.ok(f"UID SEARCH RETURN (ALL) {what}")))
    return numbers(got.group(1)) if got else set()


def in_pieces(uids):
    uids = sorted(uids)
    for i in range(0, len(uids), 4000):
        yield ",".join(str(u) for u in uids[i:i + 4000])


def meanwhile(h, t, commands):
    """Runs the commands; another session of the account says NOOP all the time. How often it was answered amid them."""
    with h.imap("alice") as other:
        other.ok("SELECT INBOX")
        answered, problems = [], []

        def work():
            try:
                for command in commands:
                    t.ok(command)
            except Exception as e:  # told by the main thread
                problems.append(e)

        worker = threading.Thread(target=work)
        worker.start()
        while worker.is_alive():
            other.ok("NOOP")
            answered.append(worker.is_alive())
        worker.join()
        check(not problems, problems)
        return sum(answered)


def test_commands_on_all(h):
    with h.imap("alice") as t, h.imap("alice") as watcher:
        fill(t, "Big")
        watcher.ok("SELECT Big")
        check(meanwhile(h, t, ["FETCH 1:* (UID FLAGS ENVELOPE)", "SEARCH TEXT rarissimum", "SEARCH SUBJECT \"number 7\""]) > 2,
              "NOOPs were answered amid FETCH and SEARCH")
        check(meanwhile(h, t, ["STORE 1:* +FLAGS (\\Flagged $Later)", "STORE 1:* -FLAGS.SILENT (\\Flagged)"]) > 0,
              "NOOPs were answered amid STORE")
        equal(len(found(t, "KEYWORD $Later UNFLAGGED")), MESSAGES)
        told = [r for r in watcher.ok("NOOP") if " FETCH (" in r[0]]
        equal(len(told), MESSAGES, "the other session hears of each message")
        check(all("$Later" in r[0] and "\\Flagged" not in r[0] for r in told), "as it is now")
        odd = set(range(1, MESSAGES + 1, 2))
        for part in in_pieces(odd):
            t.ok(f"UID STORE {part} +FLAGS.SILENT (\\Deleted)")
        equal(len([r for r in t.ok("EXPUNGE") if r[0].endswith(" EXPUNGE")]), len(odd))
        equal(found(t, "ALL"), set(range(2, MESSAGES + 1, 2)))
        last = MESSAGES // 2
        got = joined(t.ok(f"FETCH {last}:* (UID)"))
        contains(got, f"* {last} FETCH (UID {last * 2})")
        # The watcher's numbers are told from the highest down, each at its time.
        left = list(range(1, MESSAGES + 1))
        for r in watcher.ok("NOOP"):
            gone = re.match(r"\* (\d+) EXPUNGE", r[0])
            if gone:
                del left[int(gone.group(1)) - 1]
        equal(left, list(range(2, MESSAGES + 1, 2)))
        equal(found(watcher, "ALL"), set(left))


def test_many_sessions_of_one_mailbox(h):
    """They share what they know; each still sees what it was told and no more."""
    with h.imap("alice") as t:
        fill(t, "Shared")
        t.ok(f"UID STORE {','.join(str(u) for u in range(1, min(MESSAGES, 8000), 2))} +FLAGS.SILENT (\\Deleted)")
        t.ok("EXPUNGE")
        alive = found(t, "ALL")
        others = [h.imap("alice") for _ in range(50)]
        try:
            for o in others:
                equal(re.search(r"\* (\d+) EXISTS", joined(o.ok("SELECT Shared"))).group(1), str(len(alive)))
            doomed = sorted(alive)[10:200:3]
            t.ok(f"UID STORE {','.join(map(str, doomed))} +FLAGS.SILENT (\\Deleted)")
            t.ok("EXPUNGE")
            t.append(message(1), "Shared")
            new = alive - set(doomed) | {MESSAGES + 1}
            for i, o in enumerate(others):
                if i % 2:  # these have not heard of it: their numbers are the old ones
                    got = joined(o.ok("FETCH 12 (UID)"))
                    contains(got, f"* 12 FETCH (UID {sorted(alive)[11]})")
                    check(" EXPUNGE" not in got, "no EXPUNGE amid FETCH")
            for o in others:
                got = joined(o.ok("NOOP"))
                equal(got.count(" EXPUNGE"), len(doomed))
                equal(found(o, "ALL"), new)
        finally:
            for o in others:
                o.close()


def test_many_folders(h):
    with h.imap("alice") as t:
        for n in range(FOLDERS):
            t.ok(f'CREATE "tree {n % 10}/branch {n % 50}/leaf {n}"')
        names = re.findall(r'"(tree \d+/branch \d+/leaf \d+)"', joined(t.ok('LIST "" *')))
        equal(len(set(names)), FOLDERS)
        got = joined(t.ok('LIST "" "tree*" RETURN (STATUS (MESSAGES UIDNEXT))'))
        equal(len(re.findall(r'STATUS "tree \d+/branch \d+/leaf \d+" \(MESSAGES 0 UIDNEXT 1\)', got)), FOLDERS)
        for n in range(0, FOLDERS, 7):
            contains(joined(t.ok(f'STATUS "tree {n % 10}/branch {n % 50}/leaf {n}" (UNSEEN)')), "(UNSEEN 0)")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
