"""Roles die at random points while mail flows out to 50 domains whose servers refuse, drop and leave in doubt at random:
nothing that was acknowledged is lost, and nothing arrives twice but what the log calls a possible duplicate.

    POSTHOUSE_KILL_MESSAGES=10000 POSTHOUSE_KILL_SEED=7 python3 test_outgoing_kill.py build/posthouse

Without these: 500 messages, and a seed that is printed.
"""
import collections
import contextlib
import os
import random
import re
import signal
import sys
import threading
import time

import outgoing
from fault_server import Drop, Good, Reset, Take, Wait
from harness import Wrong, check, equal, main, wait_until

PROGRAM = ""
MESSAGES = int(os.environ.get("POSTHOUSE_KILL_MESSAGES", "500"))
SEED = int(os.environ.get("POSTHOUSE_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
DOMAINS = 50
SENDERS = 4
CONFIG = """queue {
	retry-min 1s
	retry-max 2s
	lifetime 1h
	delay-notice 0s
}
outbound {
	port @PORT@
	timeout 5s
}
"""
# what may befall the whole program, in turn; None: everything at once
VICTIMS = ("backend", "outbound", None, "auth", "frontend", "resolver")


class Servers:
    """Fifty servers with moods."""

    def __init__(self, w, chance):
        self.chance = chance
        script = {"banner": self.mood((0.01, Drop()), (0.01, "421 4.3.2 busy")),
                  "mail": self.mood((0.01, "421 4.3.2 going down"), (0.01, Reset())),
                  "rcpt": self.rcpt,
                  "end": self.mood((0.03, Drop()), (0.03, (Take(), Drop())), (0.03, (Take(), Reset())),
                                   (0.03, "451 4.3.0 later"), (0.1, (Wait(0.05), Good())), (0.05, (Take(), Wait(0.05), Good())))}
        self.hosts = [w.host(script=script) for _ in range(DOMAINS)]

    def mood(self, *moods):
        def choose(_session, good):
            x = self.chance.random()
            for share, action in moods:
                if x < share:
                    return action
                x -= share
            return good
        return choose

    def rcpt(self, session, good):
        local = re.match(r"RCPT TO:<([^@]+)", session.commands[-1], re.I).group(1)
        if local.startswith("bad"):
            return "550 5.1.1 nobody"
        return self.mood((0.08, "450 4.2.0 later"), (0.01, Drop()))(session, good)


class Senders:
    """Submit numbered messages over sessions that are lost now and then; they remember what was acknowledged."""

    def __init__(self, w, hosts, chance):
        self.w, self.hosts, self.chance = w, hosts, chance
        self.lock, self.number = threading.Lock(), 0
        self.acked, self.doubtful, self.refused = {}, set(), 0
        self.threads = [threading.Thread(target=self.run) for _ in range(SENDERS)]
        for t in self.threads:
            t.start()

    def next(self):
        with self.lock:
            if self.number == MESSAGES:
                return None
            self.number += 1
            n, many = self.number, self.chance.random() < 0.2
            hosts = self.chance.sample(self.hosts, 3 if many else 1)
            word = "bad" if self.chance.random() < 0.02 else "m"
            return [f"{word}{n}@{host.domain}" for host in hosts]

    def run(self):
        to, session = self.next(), None
        while to:
            try:
                session = session or self.w.login()
                if self.one(session, to):
                    to = self.next()
                else:
                    time.sleep(0.1)
            except (OSError, EOFError, Wrong):
                if session:
                    session.close()
                    session = None
                if to[0] in self.doubtful:  # whether it was taken is not known; it is not sent again
                    to = self.next()
                time.sleep(0.05)
        if session:
            session.close()

    def one(self, t, to):
        """True: acknowledged. False: refused for now."""
        t.put("RSET")
        t.reply(250)
        lines = [f"MAIL FROM:<alice@{self.w.h.domain}>"] + [f"RCPT TO:<{a}>" for a in to] + ["DATA"]
        t.send("\r\n".join(lines) + "\r\n")
        codes = [t.reply()[0] for _ in lines]
        if codes[-1] != 354:
            self.refused += 1
            return False
        if codes[1:-1] != [250] * len(to):  # some, but not all: a backend that came back meanwhile
            t.close()
            raise EOFError("partly")
        text = self.w.letter(to=to[0], body=f"number {to[0]}\r\n")
        with self.lock:
            self.doubtful.add(to[0])
        t.send(text + b".\r\n")
        code, words = t.reply()
        with self.lock:
            self.doubtful.discard(to[0])
        if code != 250:
            self.refused += 1
            return False
        queue_id = re.search(r"\b[0-9a-z]{26}\b", words[0]).group()
        with self.lock:
            for address in to:
                self.acked[address] = queue_id
        return True


def strike(w, role):
    """Kills a role, or everything; returns when all is up again."""
    if role is None:
        w.h.kill()
        w.h.start()
        return
    with contextlib.suppress(Wrong, KeyError, OSError):
        for pid in w.h.pids(role):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all_up(w), 30, f"the return of {role}")


def all_up(w):
    with contextlib.suppress(Wrong, KeyError, TypeError):
        return all(r["up"] for r in w.h.status()["roles"])
    return False


def drained(w, senders, seconds):
    """Waits until the queue is empty; says how much is left when that stands still."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Wrong):
            if not w.queue():
                return
        if time.monotonic() > until:
            left = w.queue()
            raise Wrong(f"{len(left)} messages are still in the queue: {list(left.values())[:3]}")
        time.sleep(0.3)


def noted(w, senders, address):
    """How often the trace says that an address may have got a message twice."""
    if address not in senders.acked:
        return 0
    return len(w.events(senders.acked[address], address, "possible_duplicate"))


def judge(w, senders):
    arrived = collections.Counter(a for m in w.server.messages for a in m.addresses)
    bounced = collections.Counter()
    for m in w.inbox():
        for fields in outgoing.report_recipients(m):
            if fields["Action"] == "failed":
                bounced[outgoing.address_of(fields["Final-Recipient"])] += 1
    lost = [a for a in senders.acked if not arrived[a] and not bounced[a]]
    equal(lost, [], f"acknowledged and lost, of {len(senders.acked)}")
    wrongly = [a for a in senders.acked if (arrived[a] > 0) == a.startswith("bad")]
    equal(wrongly, [], "arrived that should not, or bounced that should not")
    allowed = collections.Counter()
    for line in w.h.log().splitlines():
        found = re.search(r'event=possible_duplicate .*recipient="?([^" ]+)', line)
        if found:
            allowed[found.group(1)] += 1
    # whoever wrote a line of the log may have been killed over it; the trace is durable
    unasked = [(a, n, allowed[a]) for a, n in arrived.items() if n > 1 + allowed[a] and n > 1 + noted(w, senders, a)]
    equal(unasked, [], "arrived more than once without a word about a possible duplicate")
    unknown = [a for a in arrived if a not in senders.acked and a.split("@")[0] not in
               {x.split("@")[0] for x in senders.doubtful}]
    equal(unknown, [], "arrived but never submitted")
    again = [(a, n) for a, n in bounced.items() if n > 1]
    equal(again, [], "bounced more than once")
    equal([x for x in w.server.wrong], [], "offences against SMTP")
    twice = sum(1 for n in arrived.values() if n > 1)
    print(f"    {len(senders.acked)} recipients acknowledged, {len(senders.doubtful)} submissions in doubt, "
          f"{senders.refused} refused for now; {sum(arrived.values())} arrived, {twice} of them more than once, "
          f"{sum(allowed.values())} possible duplicates logged, {sum(bounced.values())} bounced")


def test_killed_while_mail_flows_out(_):
    print(f"    POSTHOUSE_KILL_SEED={SEED} POSTHOUSE_KILL_MESSAGES={MESSAGES}", flush=True)
    chance = random.Random(SEED)
    strikes = max(3, MESSAGES // 250)
    with outgoing.world(PROGRAM, CONFIG) as w:
        servers = Servers(w, random.Random(SEED + 1))
        senders = Senders(w, servers.hosts, random.Random(SEED + 2))
        try:
            for i in range(strikes):
                time.sleep(chance.uniform(0.2, 1.5))
                strike(w, VICTIMS[i % len(VICTIMS)])
        finally:
            for t in senders.threads:
                t.join(60 + MESSAGES / 20)
        check(not any(t.is_alive() for t in senders.threads), "the senders did not come to an end")
        drained(w, senders, 30 + MESSAGES / 50)
        judge(w, senders)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], own_houses=True))
