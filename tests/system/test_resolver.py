"""The resolver role against a name server of the test's own: nsd on loopback, with zones that nobody else has."""
import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from harness import Skip, check, contains, equal, main, need, wait_until

PROGRAM = ""
ASK = sys.argv.pop(2)  # tests/system/resolver_ask.c
OK, NODATA, NXDOMAIN, TEMP, BOGUS = range(5)  # enum dns_status
A, CNAME, MX, TXT, AAAA = 1, 5, 15, 16, 28
QUERY_MS = 8000  # src/roles/resolver/main.c

ZONE = """$ORIGIN {zone}.
$TTL 300
@ IN SOA ns.{zone}. admin.{zone}. 1 3600 900 86400 60
@ IN NS ns
@ IN MX 10 mx
ns IN A 198.18.0.1
mx IN A 198.18.0.25
mx IN AAAA 2001:2::25
www IN CNAME web
web IN A 198.18.0.80
far IN CNAME nobody
text IN TXT "v=spf1 -all" "second"
late IN A 198.18.0.9
"""
REVERSE = """$ORIGIN 18.198.in-addr.arpa.
$TTL 300
@ IN SOA ns.posthouse-plain.example. admin.posthouse-plain.example. 1 3600 900 86400 60
@ IN NS ns.posthouse-plain.example.
25.0 IN PTR mx.posthouse-plain.example.
26.0 IN PTR mx.posthouse-plain.example.
27.0 IN PTR nobody.posthouse-plain.example.
27.0 IN PTR web27.posthouse-plain.example.
"""


class Server:
    """nsd with the plain zone, the signed one and the reverse one; one for all tests."""

    one = None

    def __init__(self):
        for program in ("nsd", "ldns-signzone", "ldns-keygen"):
            need(program)
        self.dir = tempfile.mkdtemp(prefix="posthouse-dns-")
        plain = ZONE.format(zone="posthouse-plain.example") + "web27 IN A 198.18.0.27\n"
        plain += "".join(f"many IN A 198.18.1.{i}\n" for i in range(150))
        plain += "".join(f"host{i} IN A 198.18.2.{i % 256}\n" for i in range(400))
        self.write("plain", plain)
        self.write("reverse", REVERSE)
        self.sign(ZONE.format(zone="posthouse-signed.example") + "forged IN A 198.18.0.66\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        zones = (("posthouse-plain.example", "plain"), ("18.198.in-addr.arpa", "reverse"),
                 ("posthouse-signed.example", "signed"))
        self.write("nsd.conf", f"""server:
    ip-address: 127.0.0.1@{self.port}
    server-count: 1
    username: ""
    zonesdir: "{self.dir}"
    pidfile: "{self.dir}/pid"
    xfrdfile: ""
    zonelistfile: "{self.dir}/zonelist"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
""" + "".join(f'zone:\n    name: {name}\n    zonefile: "{self.dir}/{file}"\n' for name, file in zones))
        self.start()
        Server.one = self

    @property
    def anchor(self):
        return os.path.join(self.dir, "anchor")

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def sign(self, text):
        self.write("unsigned", text)
        run = {"cwd": self.dir, "check": True, "text": True, "stdout": subprocess.PIPE}
        key = subprocess.run(["ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k",
                              "posthouse-signed.example"], **run).stdout.strip()
        subprocess.run(["ldns-signzone", "-f", "good", "unsigned", key], **run)
        shutil.copy(os.path.join(self.dir, key + ".ds"), self.anchor)
        with open(os.path.join(self.dir, "good")) as f:
            signed = f.read()
        contains(signed, "198.18.0.66", "signed zone")
        self.write("signed", signed.replace("198.18.0.66", "198.18.0.67"))  # the signature stays as it was

    def start(self):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(["nsd", "-d", "-c", os.path.join(self.dir, "nsd.conf")], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.answers, 20, "nsd's first answer")

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.dir, "log")) as f:
                raise Skip("nsd does not run here: " + f.read()[-300:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
            s.settimeout(0.3)
            s.connect(("127.0.0.1", self.port))
            name = b"".join(bytes([len(w)]) + w for w in b"posthouse-plain.example".split(b"."))
            s.send(b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + name + b"\0\x00\x06\x00\x01")
            return s.recv(1500)[3] & 15 == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def server():
    return Server.one or Server()


class Resolver:
    def __init__(self, port, anchor="/nowhere"):
        role = os.path.join(os.path.dirname(PROGRAM), "posthouse-resolver")
        self.process = subprocess.Popen([ASK, role, f"resolver.server=127.0.0.1:{port}",
                                         f"resolver.trust-anchor={anchor}"], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait(30)
        if not kind:
            equal(status, 0, "exit status")

    def put(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self):
        line = self.process.stdout.readline().strip()
        check(line, "the resolver says nothing")
        return line

    def answer(self):
        status, secure, ttl, n, ms = self.line().split()
        self.ms, self.ttl, self.secure = int(ms), int(ttl), secure == "secure"
        return int(status), sorted(bytes.fromhex(self.line()) for _ in range(int(n)))

    def ask(self, name, kind):
        self.put(f"{name} {kind}")
        return self.answer()

    def client(self, address):
        self.put(f"CLIENT {address}")
        return self.line()


def v4(text):
    return socket.inet_aton(text)


def test_kinds(_):
    zone = "posthouse-plain.example"
    with Resolver(server().port) as r:
        equal(r.ask(f"mx.{zone}", A), (OK, [v4("198.18.0.25")]), "A")
        check(0 < r.ttl <= 300, "TTL", r.ttl)
        check(not r.secure, "nobody proved it")
        equal(r.ask(f"MX.{zone.upper()}.", A), (OK, [v4("198.18.0.25")]), "other case, final dot")
        equal(r.ask(f"mx.{zone}", AAAA), (OK, [socket.inet_pton(socket.AF_INET6, "2001:2::25")]), "AAAA")
        status, records = r.ask(zone, MX)
        equal((status, len(records)), (OK, 1), "MX")
        equal(records[0][:5], b"\0\x0a\x02mx", "MX rdata")
        equal(r.ask(f"text.{zone}", TXT), (OK, [b"\x0bv=spf1 -all\x06second"]), "TXT")
        equal(r.ask(f"www.{zone}", A), (OK, [v4("198.18.0.80")]), "A behind a CNAME")
        equal(r.ask(f"mx.{zone}", TXT), (NODATA, []), "NODATA")
        equal(r.ask(f"www.{zone}", AAAA), (NODATA, []), "NODATA behind a CNAME")
        equal(r.ask(f"nobody.{zone}", A), (NXDOMAIN, []), "NXDOMAIN")
        equal(r.ask(f"far.{zone}", A), (NXDOMAIN, []), "NXDOMAIN behind a CNAME")
        equal(r.ask("refused.example", A), (TEMP, []), "REFUSED")
        equal(r.ask(f"two..dots.{zone}", A), (TEMP, []), "no name")
        equal(r.ask(f"{'x' * 64}.{zone}", A), (TEMP, []), "a long label")


def test_many_records_are_cut(_):
    """More than fit into a UDP answer, and more than LIMIT_DNS_RECORDS."""
    with Resolver(server().port) as r:
        status, records = r.ask("many.posthouse-plain.example", A)
        equal((status, len(records)), (OK, 100), "status and records")
        equal(len(set(records)), 100, "different records")


def test_client_names(_):
    """A client has the name that leads back to it, and no other."""
    with Resolver(server().port) as r:
        equal(r.client("198.18.0.25"), "NAME mx.posthouse-plain.example")
        equal(r.client("198.18.0.26"), "NONE", "the name leads elsewhere")
        equal(r.client("198.18.0.27"), "NAME web27.posthouse-plain.example", "the second name")
        equal(r.client("198.18.0.99"), "NONE", "no PTR")


def test_many_at_once(_):
    with Resolver(server().port) as r:
        for i in range(400):
            r.put(f"+host{i}.posthouse-plain.example {A}")
        r.process.stdin.close()
        got = [r.answer() for _ in range(400)]
        good = [records for status, records in got if status == OK]
        check(len(good) >= 256, f"only {len(good)} of 400 answers")  # LIMIT_DNS_ASKED
        check(all(s in (OK, TEMP) for s, _ in got), "other answers")
        check(all(len(records) == 1 for records in good), "one address each")


def test_dnssec(_):
    zone = "posthouse-signed.example"
    with Resolver(server().port, server().anchor) as r:
        equal(r.ask(f"mx.{zone}", A), (OK, [v4("198.18.0.25")]), "signed")
        check(r.secure, "it is proved")
        equal(r.ask(f"www.{zone}", A), (OK, [v4("198.18.0.80")]), "a signed CNAME")
        check(r.secure, "it is proved, the CNAME too")
        equal(r.ask(f"nobody.{zone}", A), (NXDOMAIN, []), "signed NXDOMAIN")
        check(r.secure, "that there is none is proved")
        equal(r.ask(f"mx.{zone}", TXT), (NODATA, []), "signed NODATA")
        check(r.secure, "that there is none is proved")
        equal(r.ask(f"forged.{zone}", A), (BOGUS, []), "forged")
        check(not r.secure, "a forged answer is not secure")
        equal(r.ask("mx.posthouse-plain.example", A), (OK, [v4("198.18.0.25")]), "unsigned")
        check(not r.secure, "what nobody signed is not secure")


def test_without_an_anchor_nothing_is_secure(_):
    with Resolver(server().port) as r:
        equal(r.ask("forged.posthouse-signed.example", A), (OK, [v4("198.18.0.67")]), "nobody looks")
        check(not r.secure, "not proved")


def test_server_silent(_):
    """A server that swallows questions: no answer is an answer, in time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        with Resolver(s.getsockname()[1]) as r:
            equal(r.ask("mx.posthouse-plain.example", A), (TEMP, []), "status")
            check(r.ms <= QUERY_MS + 1500, f"took {r.ms} ms")


def test_server_down_and_back(_):
    s = server()
    with Resolver(s.port) as r:
        equal(r.ask("mx.posthouse-plain.example", A)[0], OK, "before")
        s.stop()
        equal(r.ask("late.posthouse-plain.example", A), (TEMP, []), "while it is down")
        check(r.ms <= QUERY_MS + 1500, f"took {r.ms} ms")
        equal(r.ask("mx.posthouse-plain.example", A), (OK, [v4("198.18.0.25")]), "what is known is still said")
        s.start()
        until = time.monotonic() + 60
        while r.ask("late.posthouse-plain.example", A) != (OK, [v4("198.18.0.9")]):
            check(time.monotonic() < until, "no answer after the server came back")
            time.sleep(0.5)


if __name__ == "__main__":
    code = main(sys.modules[__name__], own_houses=True)
    if Server.one:
        Server.one.close()
    sys.exit(code)
