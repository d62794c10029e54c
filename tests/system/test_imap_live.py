"""What one session changes, all others hear of at once: a table of changes, and who listens to them, with latencies.

Sessions of an account share a loop of the backend, by the account's number; those who share alice's mailboxes are six
other accounts, so that some of them are on her loop and some on another.
"""
import re
import statistics
import sys
import time

from harness import check, equal, joined, main, text_of

LATE = 10.0  # seconds; what is asserted. The aim is 100 ms, on a machine that has nothing else to do
MESSAGE = b"From: a@example.org\r\nTo: alice@example.test\r\nSubject: live\r\n\r\nhello\r\n"
SHARERS = [f"user{i}" for i in range(6)]
USERS = {"alice": "wonder land", **{name: "secret-" + name for name in SHARERS}}
OTHERS = '"Other Users/alice@example.test/'
latencies = {}  # observer: milliseconds


class Observer:
    """A client that said once what it wants to hear, and from then on only listens."""

    def __init__(self, h, name, user, *commands, idles=False):
        self.name, self.client, self.idles = name, h.imap(user), idles
        for command in commands:
            self.client.ok(command)
        if idles:
            self.tag = self.client.start("IDLE")
            check(self.client.line().startswith("+"), "IDLE")

    def hears(self, wanted, since, what):
        """Responses that all match one of the patterns and of which each pattern finds one, in this order."""
        got, todo = [], list(wanted)
        self.client.sock.settimeout(LATE)
        while todo:
            got.append(text_of(self.client.response()))
            check(not re.match(r"\* (BYE|BAD|NO)", got[-1]), f"{self.name}, {what}: {got[-1]}")
            if re.fullmatch(todo[0], got[-1]):
                todo.pop(0)
        latencies.setdefault(self.name, []).append((time.monotonic() - since) * 1000)
        return got

    def quiet(self, what):
        """Nothing more has come: a command, or DONE, answers with nothing untagged."""
        if self.idles:
            self.client.put("DONE")
            status, untagged = self.client.finish(self.tag)
            self.tag = self.client.start("IDLE")
            check(self.client.line().startswith("+"), "IDLE")
        else:
            status, untagged = self.client.command("NOOP")
        check(status.startswith("OK"), status)
        equal(joined(untagged), "", f"{self.name}, after {what}: more than was wanted")

    def close(self):
        self.client.close()


class Scene:
    """Alice's Live with some messages, Aside, where she moves them to and from, and a session that changes."""

    def __init__(self, h):
        self.h = h
        self.actor = h.imap("alice")
        self.mover = h.imap("alice")
        for name in ("Live", "Aside"):
            self.actor.ok(f"CREATE {name}")
        for _ in range(4):
            self.actor.append(MESSAGE, "Live")
            self.actor.append(MESSAGE, "Aside")
        for user in SHARERS:
            for name in ("Live", "INBOX"):
                self.actor.ok(f"SETACL {name} {user} lr")
        self.actor.ok("SELECT Live")
        self.mover.ok("SELECT Aside")

    def pop3(self):
        """The number that POP3 removed; it works on INBOX."""
        with self.h.talk("pop3") as t:
            for line in (None, "USER alice", "PASS wonder land", "DELE 1", "QUIT"):
                if line:
                    t.put(line)
                check(t.line().startswith("+OK"), line)

    def deliver(self, service):
        with getattr(self.h, service)() as t:
            t.envelope("stranger@example.org", ["alice@example.test"])
            t.say("DATA", 354)
            t.send(MESSAGE + b".\r\n")
            t.reply(250)

    def admin(self, *words):
        self.h.cli("mailbox", *words, text=True)


# A change, what does it, and what is heard by who has the mailbox selected and by who has not. Counts do not matter:
# every change is told alike, whatever was before it.
EXISTS, EXPUNGE, FLAGS = r"\* \d+ EXISTS", r"\* \d+ EXPUNGE", r"\* \d+ FETCH \(.*FLAGS \(.*\).*\)"
STATUS = r'\* STATUS "?%s"? \(.*MESSAGES \d+.*\)'
UNSEEN = r'\* STATUS "?%s"? \(.*UNSEEN \d+.*\)'
LIVE = [
    ("flag", lambda s: s.actor.ok("STORE 1 +FLAGS (\\Seen)"), [FLAGS], UNSEEN),
    ("flag taken", lambda s: s.actor.ok("STORE 1 -FLAGS.SILENT (\\Seen)"), [FLAGS], UNSEEN),
    ("keyword", lambda s: s.actor.ok("STORE 2 +FLAGS ($Live)"), [r"\* FLAGS \(.*\$Live.*\)", FLAGS], UNSEEN),
    ("APPEND", lambda s: s.actor.append(MESSAGE, "Live"), [EXISTS], STATUS),
    ("COPY in", lambda s: s.mover.ok("COPY 1 Live"), [EXISTS], STATUS),
    ("MOVE in", lambda s: s.mover.ok("MOVE 1 Live"), [EXISTS], STATUS),
    ("MOVE out", lambda s: s.actor.ok("MOVE 1 Aside"), [EXPUNGE], STATUS),
    ("\\Deleted", lambda s: s.actor.ok("STORE 1 +FLAGS.SILENT (\\Deleted)"), [FLAGS], UNSEEN),
    ("EXPUNGE", lambda s: s.actor.ok("EXPUNGE"), [EXPUNGE], STATUS),
    ("APPEND of several", lambda s: [s.actor.append(MESSAGE, "Live") for _ in range(3)], [EXISTS] * 3, STATUS),
]
INBOX = [
    ("SMTP", lambda s: s.deliver("smtp"), [EXISTS], STATUS),
    ("LMTP", lambda s: s.deliver("lmtp"), [EXISTS], STATUS),
    ("POP3 DELE", lambda s: s.pop3(), [EXPUNGE], STATUS),
]
# Of mailboxes themselves only NOTIFY tells; the patterns hold for every name in quotes or without.
LIST = r'\* LIST \(%s\) "/" "?%s"?%s'
NAMES = [
    ("CREATE", lambda s: s.actor.ok("CREATE New"), [LIST % (".*", "New", "")]),
    ("SUBSCRIBE", lambda s: s.actor.ok("SUBSCRIBE New"), [LIST % (r".*\\Subscribed.*", "New", "")]),
    ("UNSUBSCRIBE", lambda s: s.actor.ok("UNSUBSCRIBE New"), [LIST % (r"(?!.*\\Subscribed).*", "New", "")]),
    ("SETMETADATA", lambda s: s.actor.ok('SETMETADATA New (/private/comment "x")'),
     [r'\* METADATA "?New"? "?/private/comment"?']),
    ("SETMETADATA of the server", lambda s: s.actor.ok('SETMETADATA "" (/private/comment "x")'),
     [r'\* METADATA "" "?/private/comment"?']),
    ("RENAME", lambda s: s.actor.ok("RENAME New Newer"), [LIST % (".*", "Newer", r' \("?OLDNAME"? \("?New"?\)\)')]),
    ("DELETE", lambda s: s.actor.ok("DELETE Newer"), [LIST % (r".*\\NonExistent.*", "Newer", "")]),
    ("mailbox add", lambda s: s.admin("add", "alice@example.test", "Made"), [LIST % (".*", "Made", "")]),
    ("mailbox remove", lambda s: s.admin("remove", "--yes", "alice@example.test", "Made"),
     [LIST % (r".*\\NonExistent.*", "Made", "")]),
]
# What sharers hear of alice's mailboxes; %s is OTHERS without its quote.
SHARED = [
    ("SETACL", lambda s: [s.actor.ok(f"SETACL Given {u} lr") for u in SHARERS], [LIST % (".*", "%sGiven", "")]),
    ("RENAME", lambda s: s.actor.ok("RENAME Given Taken"),
     [LIST % (".*", "%sTaken", r' \("?OLDNAME"? \("?%sGiven"?\)\)')]),
    ("SETACL, taken back", lambda s: [s.actor.ok(f'SETACL Taken {u} ""') for u in SHARERS],
     [LIST % (r".*\\NonExistent.*", "%sTaken", "")]),
    ("SETACL for anyone", lambda s: s.actor.ok("SETACL Taken anyone lr"), [LIST % (".*", "%sTaken", "")]),
    ("DELETE", lambda s: s.actor.ok("DELETE Taken"), [LIST % (r".*\\NonExistent.*", "%sTaken", "")]),
]
MESSAGES = "(MessageNew MessageExpunge FlagChange)"


def selected_observers(h, mailbox):
    yield Observer(h, "IDLE", "alice", f"SELECT {mailbox}", idles=True)
    yield Observer(h, "IDLE, EXAMINE", "alice", f"EXAMINE {mailbox}", idles=True)
    yield Observer(h, "NOTIFY selected", "alice", f"SELECT {mailbox}", f"NOTIFY SET (selected {MESSAGES})")
    for user in SHARERS:
        yield Observer(h, "IDLE of a sharer", user, f'SELECT {OTHERS}{mailbox}"', idles=True)


def unselected_observers(h, mailbox):
    """With the name by which each knows the mailbox."""
    yield Observer(h, "NOTIFY personal", "alice", f"NOTIFY SET (personal {MESSAGES})"), mailbox
    yield Observer(h, "NOTIFY and IDLE", "alice", "SELECT Sent", f"NOTIFY SET (mailboxes {mailbox} {MESSAGES})",
                   idles=True), mailbox
    for user in SHARERS:
        yield (Observer(h, "NOTIFY of a sharer", user, f'NOTIFY SET (mailboxes {OTHERS}{mailbox}" {MESSAGES})'),
               f"Other Users/alice@example.test/{mailbox}")


def show():
    for name, ms in latencies.items():
        print(f"  {name:20} {len(ms):4} times, median {statistics.median(ms):7.2f} ms, worst {max(ms):7.2f} ms")


def run_table(h, mailbox, table):
    s = Scene.here
    chosen = list(selected_observers(h, mailbox))
    others = list(unselected_observers(h, mailbox))
    delayed = Observer(h, "NOTIFY delayed", "alice", f"SELECT {mailbox}", f"NOTIFY SET (selected-delayed {MESSAGES})")
    try:
        for what, change, told, status in table:
            since = time.monotonic()
            change(s)
            for o in chosen:
                o.hears(told, since, what)
            # A mailbox that is not selected is told of as it is when its turn has come: several changes, one STATUS.
            for o, name in others:
                o.hears([status % re.escape(name)], since, what)
            if EXPUNGE in told:  # waits for a command that may tell
                delayed.client.silent()
                check(re.search(r"^" + EXPUNGE + "$", joined(delayed.client.ok("NOOP")), re.M), what, "is not told")
            else:
                delayed.hears(told, since, what)
            settle(chosen + [delayed], others)
    finally:
        for o in chosen + [delayed] + [o for o, _ in others]:
            o.close()


def settle(chosen, others):
    """What one change still says: a message that a sweep of flags precedes, a STATUS behind the STATUS."""
    for o in chosen + [o for o, _ in others]:
        if not o.idles:
            o.client.ok("NOOP")
        else:
            o.client.put("DONE")
            check(o.client.finish(o.tag)[0].startswith("OK"), "DONE")
            o.tag = o.client.start("IDLE")
            check(o.client.line().startswith("+"), "IDLE")


def test_scene(h):
    Scene.here = Scene(h)


def test_messages(h):
    run_table(h, "Live", LIVE)


def test_deliveries(h):
    run_table(h, "INBOX", INBOX)


def test_names(h):
    s = Scene.here
    events = "(MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"
    observers = [Observer(h, "NOTIFY of names", "alice", f"NOTIFY SET (personal {events})"),
                 Observer(h, "NOTIFY of names, IDLE", "alice", "SELECT Live", f"NOTIFY SET (personal {events})", idles=True)]
    for what, change, told in NAMES:
        since = time.monotonic()
        change(s)
        for o in observers:
            o.hears(told, since, what)
    for o in observers:
        o.quiet("all names")
        o.close()


def test_names_of_others(h):
    s = Scene.here
    s.actor.ok("CREATE Given")
    subtree = OTHERS[:-1] + '"'
    observers = [Observer(h, "names of others", u, f"NOTIFY SET (subtree {subtree} (MailboxName))") for u in SHARERS]
    prefix = re.escape(OTHERS[1:])
    for what, change, told in SHARED:
        since = time.monotonic()
        change(s)
        for o in observers:
            o.hears([told[0].replace("%s", prefix)], since, what)
    for o in observers:
        o.quiet("all names")
        o.close()


def test_shut_out(h):
    """Who may not read any more what he has selected hears it at once, and so does who has it selected when it goes."""
    s = Scene.here
    s.actor.ok("CREATE Ends")
    for user in SHARERS:
        s.actor.ok(f"SETACL Ends {user} lr")
    observers = [Observer(h, "shut out", u, f'SELECT {OTHERS}Ends"', idles=True) for u in SHARERS]
    since = time.monotonic()
    s.actor.ok(f"DELETEACL Ends {SHARERS[0]}")
    s.actor.ok("DELETE Ends")
    for o in observers:
        o.client.sock.settimeout(LATE)
        check(text_of(o.client.response()).startswith("* BYE "), "BYE is wanted")
        latencies.setdefault(o.name, []).append((time.monotonic() - since) * 1000)
        o.client.ended()
        o.close()


def test_told_once(h):
    """Each change is told once, and its author hears nothing but his answer."""
    s = Scene.here
    s.actor.ok(f"NOTIFY SET (selected {MESSAGES}) (personal {MESSAGES})")
    o = Observer(h, "IDLE", "alice", "SELECT Live", idles=True)
    since = time.monotonic()
    s.actor.append(MESSAGE, "Aside")
    s.actor.append(MESSAGE, "Live")
    o.hears([EXISTS], since, "APPEND")
    o.quiet("APPEND")
    s.actor.silent(0.5)
    o.close()
    s.actor.ok("NOTIFY NONE")


def test_latencies(h):
    show()
    check(latencies, "nothing was measured")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], users=USERS))
