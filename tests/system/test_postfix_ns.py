"""Two post houses and a Postfix in network namespaces of their own, on one bridge, with nsd as their DNS and the real
port 25: mail in all six directions, and its way back when it cannot be delivered. Needs root."""
import contextlib
import ctypes
import email
import email.policy
import glob
import json
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time

from dns_fixture import Dns
from harness import House, Skip, Wrong, alive, check, children_of, contains, equal, main, need, wait_until
from outgoing import report_recipients

PROGRAM = ""
CLONE_NEWNET = 0x40000000
CONFIG = """listen smtp {address}:25
resolver {{
	server 10.99.0.53:53
	trust-anchor /nowhere
}}
queue {{
	retry-min 1s
	retry-max 3s
	lifetime 40s
	delay-notice 30s
}}
"""
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*args):
    got = subprocess.run(["ip", *args], capture_output=True, text=True)
    if got.returncode != 0:
        raise Skip(f"ip {' '.join(args)}: {got.stderr.strip()}")


class Namespace:
    """A network namespace with one leg on the bridge; it ends with everything in it."""

    def __init__(self, role, address, bridge=None):
        self.name, self.address = f"posthouse-{os.getpid()}-{role}", address
        ip("netns", "add", self.name)
        self.exec = ("ip", "netns", "exec", self.name)
        try:
            ip("-n", self.name, "link", "set", "lo", "up")
            if bridge:
                ip("-n", bridge.name, "link", "add", f"to-{role}", "type", "veth", "peer", "name", "eth0", "netns", self.name)
                ip("-n", bridge.name, "link", "set", f"to-{role}", "master", "bridge", "up")
                leg = "eth0"
            else:
                ip("-n", self.name, "link", "add", "bridge", "type", "bridge")
                leg = "bridge"
            ip("-n", self.name, "address", "add", f"{address}/24", "dev", leg)
            ip("-n", self.name, "link", "set", leg, "up")
        except BaseException:
            self.close()
            raise
        self.etc = f"/etc/netns/{self.name}"
        os.makedirs(self.etc)
        with open(f"{self.etc}/resolv.conf", "w") as f:  # what ip netns exec shows as /etc/resolv.conf
            f.write("nameserver 10.99.0.53\n")

    def close(self):
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True)
        shutil.rmtree(f"/etc/netns/{self.name}", ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir("/etc/netns")

    @contextlib.contextmanager
    def inside(self):
        """Sockets made meanwhile are in the namespace."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if LIBC.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            LIBC.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)


class Ours:
    """A post house in a namespace."""

    def __init__(self, space, domain, user):
        self.space, self.domain, self.user = space, domain, user
        self.address = f"{user}@{domain}"
        self.host, self.seen = f"mail.{domain}", {}
        self.h = House(PROGRAM, users={user: "secret words"}, config=CONFIG.format(address=space.address), domain=domain,
                       wrap=space.exec)

    def send(self, to, text, sender=None):
        sender = self.address if sender is None else sender
        with self.space.inside(), self.h.smtp("submission") as t:
            equal(t.auth(self.user, "secret words")[0], 235, "log-in")
            return t.message(sender, [to], text)

    def inbox(self):
        with self.space.inside(), self.h.imap(self.user, select="INBOX") as t:
            first = max(self.seen, default=0) + 1
            for r in t.fetch(f"{first}:*", "(UID BODY.PEEK[])", uid=True).values():
                uid = int(re.search(r"UID (\d+)", " ".join(p for p in r if isinstance(p, str))).group(1))
                if uid >= first:
                    self.seen[uid] = next(p for p in r if isinstance(p, bytes))
        return list(self.seen.values())

    def restart(self):
        self.h.restart()

    def queue_is_empty(self):
        return not self.h.cli("queue", "list", "--json")["result"]["messages"]

    def close(self):
        if self.h in House.open_houses:
            wrong = self.h.close()
            check(not wrong, wrong)


MAIN_CF = """compatibility_level = 3.6
queue_directory = {d}/queue
data_directory = {d}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {d}/mail.log
maillog_file_prefixes = {d}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.{domain}
mydomain = {domain}
myorigin = {domain}
mydestination =
inet_interfaces = all
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
biff = no
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {d}/mail
virtual_mailbox_maps = inline:{{{{{user}@{domain}={user}/}}}}
virtual_alias_maps = inline:{{{{late@{domain}=nobody@one.example}}}}
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_mailbox_limit = 0
message_size_limit = 60000000
smtpd_tls_security_level = may
smtpd_tls_cert_file = {d}/cert.pem
smtpd_tls_key_file = {d}/key.pem
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtp_tls_loglevel = 1
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
"""
SERVICES = """smtp inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Debian's Postfix with a configuration of its own, in the foreground of a namespace."""

    def __init__(self, space, domain, user):
        need("postfix")
        self.space, self.domain, self.user, self.process = space, domain, user, None
        self.address, self.host = f"{user}@{domain}", f"mail.{domain}"
        self.dir = tempfile.mkdtemp(prefix="posthouse-postfix-")
        os.chmod(self.dir, 0o755)
        for sub in ("conf", "queue", "data", "mail"):
            os.mkdir(os.path.join(self.dir, sub))
        nobody, owner = pwd.getpwnam("nobody"), pwd.getpwnam("postfix")
        os.chown(f"{self.dir}/mail", nobody.pw_uid, nobody.pw_gid)
        os.chown(f"{self.dir}/data", owner.pw_uid, owner.pw_gid)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "30", "-subj", f"/CN=mail.{domain}", "-keyout", f"{self.dir}/key.pem", "-out",
                        f"{self.dir}/cert.pem"], check=True, capture_output=True)
        self.write("conf/main.cf", MAIN_CF.format(d=self.dir, domain=domain, user=user, uid=nobody.pw_uid,
                                                  gid=nobody.pw_gid).replace("{{", "{").replace("}}", "}"))
        self.write("conf/master.cf", SERVICES)
        self.start()

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def log(self):
        with contextlib.suppress(OSError), open(f"{self.dir}/mail.log", errors="replace") as f:
            return f.read()
        return ""

    def start(self):
        with open(f"{self.dir}/start.log", "ab") as log:
            self.process = subprocess.Popen([*self.space.exec, "postfix", "-c", f"{self.dir}/conf", "start-fg"], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.answers, 30, "Postfix's banner")

    def answers(self):
        check(self.process.poll() is None, "Postfix ended:", self.log()[-2000:])
        with contextlib.suppress(OSError), self.space.inside(), socket.create_connection(("127.0.0.1", 25), 1) as s:
            s.settimeout(5)
            return s.recv(3) == b"220"

    def send(self, to, text, sender=None):
        with self.space.inside(), smtplib.SMTP("127.0.0.1", 25) as s:
            s.ehlo()
            s.sendmail(self.address if sender is None else sender, [to], text, mail_options=["BODY=8BITMIME"])
        return ""

    def inbox(self):
        found = []
        for path in glob.glob(f"{self.dir}/mail/{self.user}/new/*"):
            with open(path, "rb") as f:
                found.append(f.read().replace(b"\n", b"\r\n"))
        return found

    def stop(self):
        """The master is a child of scripts, in a session of its own."""
        with contextlib.suppress(OSError, ValueError):
            with open(f"{self.dir}/queue/pid/master.pid") as f:
                master = int(f.read())
            family = [master] + children_of(master)
            os.kill(master, signal.SIGTERM)
            with contextlib.suppress(Wrong):
                wait_until(lambda: not any(alive(p) for p in family), 10)
            for p in family:
                with contextlib.suppress(OSError):
                    os.kill(p, signal.SIGKILL)
        if self.process:
            self.process.wait(20)
            self.process = None

    def queue_is_empty(self):
        got = subprocess.run(["postqueue", "-c", f"{self.dir}/conf", "-j"], capture_output=True, text=True)
        return not [line for line in got.stdout.splitlines() if line and json.loads(line)]

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Net:
    one = None

    def __init__(self):
        if os.getuid() != 0:
            raise Skip("network namespaces need root")
        for program in ("ip", "nsd", "postfix", "openssl"):
            need(program)
        self.parts = []
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def add(self, part):
        self.parts.append(part)
        return part

    def build(self):
        bridge = self.add(Namespace("dns", "10.99.0.53"))
        spaces = [self.add(Namespace(role, f"10.99.0.{n}", bridge)) for role, n in (("one", 11), ("two", 12), ("post", 13))]
        records, names = {}, ("one.example", "two.example", "post.example")
        for name, space in zip(names, spaces):
            records[name] = [f"MX 10 mail.{name}."]
            records[f"mail.{name}"] = [f"A {space.address}"]
            records[".".join(reversed(space.address.split("."))) + ".in-addr.arpa"] = [f"PTR mail.{name}."]
        self.add(Dns(records, address="10.99.0.53", port=53, wrap=bridge.exec))
        self.houses = [self.add(Ours(space, name, user)) for space, name, user in zip(spaces, names, ("ann", "ben"))]
        self.postfix = self.add(Postfix(spaces[2], names[2], "pat"))
        self.all = self.houses + [self.postfix]

    def close(self):
        for part in reversed(self.parts):
            with contextlib.suppress(Exception):
                part.close()


def arrived(place, mark, seconds=30):
    mark = mark.encode()
    return wait_until(lambda: [m for m in place.inbox() if mark in m], seconds, f"the arrival of {mark!r} at {place.domain}")


def letter(sender, to, subject, body=b"Hello.\r\n", more=b""):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{time.monotonic_ns()}@ns.example>\r\n").encode() + more + b"\r\n" + body


def directions():
    return [(a, b) for a in Net.one.all for b in Net.one.all if a is not b]


def test_letters_in_all_directions(_):
    for a, b in directions():
        subject = f"from {a.domain} to {b.domain}"
        a.send(b.address, letter(a.address, b.address, subject))
    for a, b in directions():
        got = arrived(b, f"Subject: from {a.domain} to {b.domain}")
        equal(len(got), 1, "copies")
        check(got[0].startswith(b"Return-Path: <" + a.address.encode() + b">"), got[0][:200])
        contains(got[0], b"Hello.\r\n", "text")


MIME = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def test_large_and_eight_bit_in_all_directions(_):
    body = ("中文 Grüße " * 6 + "\r\n").encode() * 20000 + b".\r\n..\r\n.end\r\n"
    for a, b in directions():
        a.send(b.address, letter(a.address, b.address, f"large from {a.domain} to {b.domain}", body, MIME))
    for a, b in directions():
        got = arrived(b, f"Subject: large from {a.domain} to {b.domain}", 60)
        check(got[0].endswith(body), "the text changed between", a.domain, b.domain, got[0][-100:])


def test_starttls_between_them(_):
    for a, b in directions():
        a.send(b.address, letter(a.address, b.address, f"tls from {a.domain} to {b.domain}"))
    for a, b in directions():
        got = arrived(b, f"Subject: tls from {a.domain} to {b.domain}")[0]
        received = re.sub(rb"\r\n[ \t]+", b" ", got.split(b"\r\n\r\n")[0])
        line = next(x for x in received.split(b"\r\n") if x.startswith(b"Received: from mail." + a.domain.encode()))
        check(re.search(rb"with (UTF8)?E?SMTPS", line), "without TLS:", line)
    contains(Net.one.postfix.log(), "TLS connection established to mail.one.example", "Postfix's log")
    contains(Net.one.postfix.log(), "TLS connection established from mail.two.example", "Postfix's log")


def test_trace_tells_of_both_ends(_):
    one, two = Net.one.houses
    queue_id = one.send(two.address, letter(one.address, two.address, "traced"))
    arrived(two, "Subject: traced")
    events = wait_until(lambda: [e for e in one.h.cli("trace", queue_id, "--json")["result"]["events"] if e["event"] == "sent"],
                        what="the event of its sending")
    equal(len(events), 1, events)
    e = events[0]
    equal((e["host"], e["ip"]), ("mail.two.example", "10.99.0.12"), "where it went")
    contains(e["tls"], "TLSv1.3", "TLS")
    there = re.search(r"[0-9a-z]{26}", e["reply"])
    check(there, "no queue id in the other's reply:", e)
    contains(str(two.h.cli("trace", there.group(), "--json")["result"]), "ben@two.example", "trace at the other end")


def failed(place, address, mark):
    """The report about an address that came to a place."""
    def look():
        for text in place.inbox():
            m = email.message_from_bytes(text, policy=email.policy.SMTP)
            m.raw = text
            if any(address in (f["Final-Recipient"] or "") and f["Action"] == "failed" for f in report_recipients(m)) and \
                    mark.encode() in text:
                return [(m, text)]
        return []
    return wait_until(look, 40, f"the report about {address} at {place.domain}")[0]


def test_bounces_come_back(_):
    """Whom nobody knows there is reported by the server that could not deliver, here: the sender's own."""
    for a, b in directions():
        a.send(f"nobody@{b.domain}", letter(a.address, f"nobody@{b.domain}", f"lost from {a.domain} to {b.domain}"))
    for a, b in directions():
        m, text = failed(a, f"nobody@{b.domain}", f"lost from {a.domain} to {b.domain}")
        contains(text, b"Return-Path: <>", "the report")
        contains(str(report_recipients(m)[0]["Status"]), "5.1.1", "Status")


def test_bounces_travel(_):
    """Taken by one server, refused by the next: the report crosses the net with the null sender."""
    one, two = Net.one.houses
    pat = Net.one.postfix
    one.h.cli("alias", "add", "late@one.example", "nobody@post.example", "--json")
    two.h.cli("alias", "add", "late@two.example", "nobody@one.example", "--json")
    ways = [(pat, "late@one.example", "nobody@post.example"), (two, "late@one.example", "nobody@post.example"),
            (one, "late@two.example", "nobody@one.example"), (pat, "late@two.example", "nobody@one.example"),
            (one, "late@post.example", "nobody@one.example"), (two, "late@post.example", "nobody@one.example")]
    for a, to, _ in ways:
        a.send(to, letter(a.address, to, f"travels from {a.domain} to {to}"))
    for a, to, final in ways:
        _, text = failed(a, final, f"travels from {a.domain} to {to}")
        contains(text, b"Return-Path: <>", "the report")
        contains(text, b"Received: from mail." + to.split("@")[1].encode(), "it came over the net")


def test_pipelining_and_many(_):
    """Fifty letters each way between a post house and Postfix, at once."""
    one, pat = Net.one.houses[0], Net.one.postfix
    for i in range(50):
        one.send(pat.address, letter(one.address, pat.address, f"many {i:02} out"))
        pat.send(one.address, letter(pat.address, one.address, f"many {i:02} in"))

    def subjects(place):
        return {m.group(1) for text in place.inbox() for m in [re.search(rb"Subject: (many \d\d \w+)", text)] if m}

    for place, word in ((pat, "out"), (one, "in")):
        wanted = {f"many {i:02} {word}".encode() for i in range(50)}
        wait_until(lambda: subjects(place) >= wanted, 40, f"fifty letters {word}")


def test_the_other_side_is_away(_):
    """Postfix is down, then back: what waited arrives once."""
    one, pat = Net.one.houses[0], Net.one.postfix
    pat.stop()
    queue_id = one.send(pat.address, letter(one.address, pat.address, "patient"))
    wait_until(lambda: any(r["attempts"] >= 1 for m in one.h.cli("queue", "list", "--json")["result"]["messages"]
                           if m["id"] == queue_id for r in m["recipients"]), what="a try")
    pat.start()
    one.h.cli("queue", "retry", queue_id, "--json")
    equal(len(arrived(pat, "Subject: patient")), 1, "copies")


def test_nothing_is_left(_):
    for place in Net.one.all:
        wait_until(place.queue_is_empty, 30, f"an empty queue at {place.domain}")
    for house in Net.one.houses:
        house.close()


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        Net.one = Net()
    except Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    try:
        code = main(sys.modules[__name__], own_houses=True)
    finally:
        Net.one.close()
    sys.exit(code)
