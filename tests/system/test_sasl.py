"""SCRAM-SHA-256 and -PLUS on every protocol that logs people in, by a client of the tests' own and by GNU SASL."""
import base64
import hashlib
import hmac
import subprocess
import sys

from harness import check, contains, equal, main, need

SERVICES = ("imap", "pop3", "submission")


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class Scram:
    """The client's side of RFC 5802, without a network."""

    def __init__(self, user, secret, gs2="n,,", binding=b"", nonce="fyko+d2lbbFgONRv9qkxdawL"):
        self.secret, self.gs2, self.binding, self.nonce = secret.encode(), gs2, binding, nonce
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"

    def first(self):
        return self.gs2 + self.bare

    def final(self, server):
        self.server = server
        fields = dict(part.split("=", 1) for part in server.split(","))
        check(fields["r"].startswith(self.nonce) and len(fields["r"]) >= len(self.nonce) + 18, "nonce", server)
        self.salt, self.rounds = base64.b64decode(fields["s"]), int(fields["i"])
        check(self.rounds >= 4096, "rounds", server)
        salted = hashlib.pbkdf2_hmac("sha256", self.secret, self.salt, self.rounds)
        mac = lambda key, text: hmac.new(key, text.encode(), "sha256").digest()
        client = mac(salted, "Client Key")
        unproven = f"c={b64(self.gs2.encode() + self.binding)},r={fields['r']}"
        text = ",".join((self.bare, server, unproven))
        proof = bytes(a ^ b for a, b in zip(client, mac(hashlib.sha256(client).digest(), text)))
        self.wanted = "v=" + b64(mac(mac(salted, "Server Key"), text))
        return f"{unproven},p={b64(proof)}"


class Carrier:
    """AUTH or AUTHENTICATE of one protocol."""

    def __init__(self, h, service, tls=False):
        self.t = h.talk(service)
        self.service = service
        self.greeting = self.t.line()
        self.imap, self.smtp = service.startswith("imap"), service.startswith("submission")
        if tls:
            self.command({"imap": "s STARTTLS", "pop3": "STLS", "submission": "STARTTLS"}[service], first="EHLO x")
            self.t.start_tls()
        self.offered = self.capabilities()

    def command(self, text, first=None):
        if self.smtp and first:
            self.lines(first)
        self.t.put(text)
        return self.t.line()

    def lines(self, command):
        self.t.put(command)
        got = [self.t.line()]
        while not (got[-1][3:4] == " " if self.smtp else got[-1].startswith("c ") if self.imap else got[-1] == "."):
            got.append(self.t.line())
        return got

    def capabilities(self):
        text = self.lines({True: "c CAPABILITY"}.get(self.imap, "EHLO x" if self.smtp else "CAPA"))
        return [word.removeprefix("AUTH=") for line in text for word in line.split() if "SCRAM" in word]

    def begin(self, mechanism, initial=None):
        verb = "a AUTHENTICATE" if self.imap else "AUTH"
        self.t.put(f"{verb} {mechanism}" + (f" {b64(initial)}" if initial is not None else ""))
        return self.t.line()

    def challenge(self, line):
        mark = "334 " if self.smtp else "+ "
        check(line.startswith(mark), f"{self.service}: no challenge: {line}")
        return base64.b64decode(line[len(mark):]).decode()

    def answer(self, text):
        self.t.put(b64(text))
        return self.t.line()

    def good(self, line):
        return line.startswith(("a OK", "+OK", "235"))

    def wrong(self, line):
        return line.startswith(("a NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]", "535 5.7.8"))

    def exchange(self, scram, mechanism="SCRAM-SHA-256", late=False):
        """The last line: good, or why not."""
        line = self.begin(mechanism, None if late else scram.first())
        if late:
            equal(self.challenge(line), "")
            line = self.answer(scram.first())
        if not line.startswith(("+ ", "334 ")):
            return line
        line = self.answer(scram.final(self.challenge(line)))
        if line.startswith(("+ ", "334 ")):
            equal(self.challenge(line), scram.wanted)
            line = self.answer("")
        return line

    def close(self):
        self.t.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def end_point(t):
    """tls-server-end-point (RFC 5929) of a certificate signed with SHA-256."""
    return hashlib.sha256(t.sock.getpeercert(True)).digest()


def failures(h):
    return next(r for r in h.status()["roles"] if r["role"] == "auth")["failed"]


def test_good(h):
    for service in SERVICES:
        for tls in (False, True):
            for late in (False, True):
                with Carrier(h, service, tls) as c:
                    equal("SCRAM-SHA-256-PLUS" in c.offered, tls, service)
                    contains(c.offered, "SCRAM-SHA-256")
                    line = c.exchange(Scram("alice", h.users["alice"]), late=late)
                    check(c.good(line), service, line)
                    if c.imap:
                        c.t.put("b SELECT INBOX")
                        while not c.t.line().startswith("b OK"):
                            pass
                    elif c.smtp:
                        contains(c.command("MAIL FROM:<alice@example.test>"), "250")
                    else:
                        contains(c.command("STAT"), "+OK")


def test_whole_address(h):
    with Carrier(h, "imap") as c:
        check(c.good(c.exchange(Scram("alice@example.test", h.users["alice"]))))


def test_bound_to_the_channel(h):
    for service in SERVICES:
        with Carrier(h, service, tls=True) as c:
            s = Scram("alice", h.users["alice"], "p=tls-server-end-point,,", end_point(c.t))
            line = c.exchange(s, "SCRAM-SHA-256-PLUS")
            check(c.good(line), service, line)
        with Carrier(h, service, tls=True) as c:  # of another certificate: somebody stands between
            s = Scram("alice", h.users["alice"], "p=tls-server-end-point,,", bytes(32))
            line = c.exchange(s, "SCRAM-SHA-256-PLUS")
            check(c.wrong(line), service, line)
            s = Scram("alice", h.users["alice"], "y,,")  # the offer was taken away
            check(not c.good(c.exchange(s)), service)
            s = Scram("alice", h.users["alice"], "p=tls-unique,,", bytes(12))
            check(not c.good(c.exchange(s, "SCRAM-SHA-256-PLUS")), service)
            s = Scram("alice", h.users["alice"], "n,,")
            check(c.good(c.exchange(s)), service)
        with Carrier(h, service) as c:  # not offered without TLS, and so "y" is true
            check(not c.good(c.exchange(Scram("alice", h.users["alice"], "p=tls-exporter,,"), "SCRAM-SHA-256-PLUS")))
            check(c.good(c.exchange(Scram("alice", h.users["alice"], "y,,"))), service)


def test_wrong_and_unknown_look_alike(h):
    for service in SERVICES:
        before = failures(h)
        seen = []
        for user in ("alice", "nobody", "nobody@example.test", "a,b=c"):
            with Carrier(h, service) as c:
                wrong = Scram(user, "wrong")
                line = c.exchange(wrong)
                check(c.wrong(line), service, user, line)
                again = Scram(user.upper() if user != "a,b=c" else user, "wrong")
                c.exchange(again)
                equal(again.salt, wrong.salt, f"salt of {user}")
                seen.append((line, len(wrong.server), wrong.rounds))
        equal(len(set(seen)), 1, "answers")
        equal(failures(h) - before, 8, "failures counted")


def test_not_as_somebody_else(h):
    for service in SERVICES:
        with Carrier(h, service) as c:
            line = c.exchange(Scram("alice", h.users["alice"], "n,a=bob,"))
            check(not c.good(line), service, line)
            check(c.good(c.exchange(Scram("alice", h.users["alice"], "n,a=alice,"))), service)


def test_a_proof_is_good_once(h):
    """The same proof said again, to a new exchange with the same client nonce."""
    with Carrier(h, "imap") as c:
        s = Scram("alice", h.users["alice"])
        proof = s.final(c.challenge(c.begin("SCRAM-SHA-256", s.first())))
        c.t.put("*")
        contains(c.t.line(), "a BAD")
        c.challenge(c.begin("SCRAM-SHA-256", s.first()))
        check(not c.good(c.answer(proof)), "an old proof was taken")


def test_new_password(h):
    h.cli("account", "add", "carol@example.test", "--password-stdin", "--json", stdin="first secret\n")
    with Carrier(h, "pop3") as c:
        check(c.good(c.exchange(Scram("carol", "first secret"))))
    h.cli("account", "set", "carol@example.test", "--password-stdin", "--json", stdin="second secret\n")
    with Carrier(h, "pop3") as c:
        check(c.wrong(c.exchange(Scram("carol", "first secret"))))
        check(c.good(c.exchange(Scram("carol", "second secret"))))


def test_half_exchanges_end(h):
    """Log-ins given up half way cost nothing and are no guesses."""
    before = failures(h)
    for _ in range(30):
        with Carrier(h, "imap") as c:
            c.challenge(c.begin("SCRAM-SHA-256", Scram("alice", "x").first()))
    equal(failures(h), before)
    with Carrier(h, "imap") as c:
        check(c.good(c.exchange(Scram("alice", h.users["alice"]))))


def gsasl(h, service, mechanism, *more, secret=None, codes=(0,)):
    got = subprocess.run(
        [need("gsasl"), f"--connect=127.0.0.1:{h.ports[service]}", "--imap" if service == "imap" else "--smtp",
         f"--mechanism={mechanism}", "--authentication-id=alice",
         f"--password={secret or h.users['alice']}", "--x509-ca-file=", "--hostname=mx.example.test", *more],
        input=b"", capture_output=True, timeout=30)
    check(got.returncode in codes, f"gsasl {service} {mechanism}: {got.returncode}", (got.stdout + got.stderr).decode())
    return (got.stdout + got.stderr).decode()


def test_gnu_sasl(h):
    for service in ("imap", "submission"):
        gsasl(h, service, "SCRAM-SHA-256", "--no-starttls")
        gsasl(h, service, "SCRAM-SHA-256", "--starttls", "--no-cb")
        gsasl(h, service, "SCRAM-SHA-256-PLUS", "--starttls")  # tls-exporter, RFC 9266
        gsasl(h, service, "SCRAM-SHA-256", "--no-starttls", secret="wrong", codes=(1,))
        gsasl(h, service, "SCRAM-SHA-256-PLUS", "--starttls", secret="wrong", codes=(1,))


def test_msmtp(h):
    """msmtp's own SCRAM (by GNU SASL)."""
    check(subprocess.run([need("msmtp"), "-C", "/dev/null", "--host=127.0.0.1", f"--port={h.ports['submission']}",
                          "--tls=on", "--tls-certcheck=off", "--auth=scram-sha-256", "--user=alice",
                          f"--passwordeval=echo '{h.users['alice']}'", "--from=alice@example.test",
                          "bob@example.test"], input=b"Subject: by msmtp\n\nhello\n", timeout=30).returncode == 0,
          "msmtp")
    with h.imap("bob", select="INBOX") as t:
        contains(t.body(t.count()), b"Subject: by msmtp")


def test_our_own_client(h):
    """outbound logs in at our submission port, as it would at somebody else's smart host."""
    add = ("route", "add", f"localhost:{h.ports['submission']}", "--tls", "starttls", "--insecure", "--user", "alice",
           "--mechanism", "scram-sha-256", "--password-stdin", "--json")
    h.cli(*add, stdin=h.users["alice"] + "\n")
    route = h.cli("route", "list", "--json")["result"]["routes"][0]["id"]
    got = h.cli("route", "test", str(route), "--json")
    h.cli("route", "remove", str(route), "--yes", "--json")
    contains(str(got), "AUTH SCRAM-SHA-256")
    contains(str(got), "235 2.7.0")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
