"""A post house with a world around it to send to: a name server and mail servers of the tests' own."""
import contextlib
import email
import email.policy
import re
import shutil
import tempfile
import time

from dns_fixture import Dns
from fault_server import BlackHole, Certificates, FaultServer
from harness import House, check, equal, wait_until

ZONE = "out.example"
LIFETIME = 14  # seconds
CONFIG = f"""queue {{
	retry-min 1s
	retry-max 3s
	lifetime {LIFETIME}s
	delay-notice 3s
}}
outbound {{
	port @PORT@
	timeout 3s
	connect 2s
	roots @ROOTS@
}}
"""
DOMAINS = 240  # d1.out.example and so on: one mail server each, mx1.out.example at 127.0.1.1 and so on


def zone():
    records = {}
    for n in range(1, DOMAINS + 1):
        records[f"d{n}.{ZONE}"] = [f"MX 10 mx{n}.{ZONE}."]
        records[f"mx{n}.{ZONE}"] = [f"A 127.0.1.{n}"]
    return records


class World:
    """A House whose mail goes to a FaultServer. `records`: more of the DNS, over that of zone()."""

    def __init__(self, program, config="", records=None, broken=(), **house):
        self.dir = tempfile.mkdtemp(prefix="posthouse-world-")
        self.parts, self.readers = [], {}
        try:
            self.certificates = Certificates(self.dir)
            self.dns = Dns({**zone(), **(records or {})}, broken)
            self.parts.append(self.dns)
            self.server = FaultServer(f"{self.dir}/ledger")
            self.parts.append(self.server)
            more = self.dns.config() + config.replace("@ROOTS@", self.certificates.roots)
            self.h = House(program, config=more.replace("@PORT@", str(self.server.port)), **house)
        except BaseException:
            self.close()
            raise
        self.used, self.seen, self.subjects = 0, {}, 0

    def close(self):
        for t in self.readers.values():
            t.close()
        for part in reversed(self.parts):
            with contextlib.suppress(Exception):
                part.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- the other side --

    def host(self, n=None, name=None, **what):
        """The mail server of a fresh domain (or the n-th)."""
        if n is None:
            self.used += 1
            n = self.used
        host = self.server.host(name or f"mx{n}.{ZONE}", f"127.0.1.{n}", **what)
        host.domain = f"d{n}.{ZONE}"
        return host

    def black_hole(self, ip):
        self.parts.append(BlackHole(ip, self.server.port))

    # -- our side --

    def login(self, user="alice", service="submission", **options):
        t = self.h.smtp(service, **options)
        equal(t.auth(user, self.h.users[user])[0], 235, "log-in")
        return t

    def letter(self, sender="alice", subject=None, body="Hello.\r\n", to="someone@out.example", more=""):
        self.subjects += 1
        address = sender if "@" in sender else f"{sender}@{self.h.domain}"
        text = (f"From: {address}\r\nTo: {to}\r\nSubject: {subject or f'letter {self.subjects}'}\r\n"
                f"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{self.subjects}.{time.monotonic_ns()}@{self.h.domain}>"
                f"\r\n{more}\r\n")
        return text.encode() + (body if isinstance(body, bytes) else body.encode())

    def submit(self, recipients, text=None, user="alice", sender=None, mail="", rcpt="", session=None):
        """One message by the submission port; its queue id. rcpt: parameters of all, or a list of them."""
        t = session or self.login(user)
        try:
            sender = f"{user}@{self.h.domain}" if sender is None else sender
            t.say(f"MAIL FROM:<{sender}>{' ' + mail if mail else ''}", 250)
            for i, r in enumerate(recipients):
                more = rcpt if isinstance(rcpt, str) else rcpt[i]
                t.say(f"RCPT TO:<{r}>{' ' + more if more else ''}", 250)
            return self.content(t, text if text is not None else self.letter(user, to=recipients[0]))
        finally:
            if not session:
                t.close()

    @staticmethod
    def content(t, text):
        t.say("DATA", 354)
        t.send(re.sub(rb"(?m)^\.", b"..", text) + b".\r\n")
        _, lines = t.reply(250)
        found = re.search(r"\b[0-9a-z]{26}\b", lines[0])
        check(found, "no queue id in", lines)
        return found.group()

    def queue(self):
        """The queue as {id: message}, all pages."""
        return {m["id"]: m for m in self.h.cli("queue", "list", "--json")["result"]["messages"]}

    def entry(self, queue_id, address):
        """The recipient of a message in the queue, or None when it is not there any more."""
        m = self.queue().get(queue_id)
        return next((r for r in m["recipients"] if r["address"] == address), None) if m else None

    def trace(self, what):
        return self.h.cli("trace", what, "--json")["result"]["events"]

    def events(self, queue_id, recipient=None, event=None):
        return [e for e in self.trace(queue_id)
                if (recipient is None or e.get("recipient") == recipient) and (event is None or e["event"] == event)]

    # -- what came back --

    def inbox(self, user="alice"):
        """All messages in an INBOX, parsed; each is fetched once."""
        seen = self.seen.setdefault(user, {})
        t = self.readers.get(user) or self.readers.setdefault(user, self.h.imap(user, select="INBOX"))
        try:
            t.ok("NOOP")
            first = max(seen, default=0) + 1
            for r in t.fetch(f"{first}:*", "(UID BODY.PEEK[])", uid=True).values():
                uid = int(re.search(r"UID (\d+)", " ".join(p for p in r if isinstance(p, str))).group(1))
                if uid >= first:
                    body = next(p for p in r if isinstance(p, bytes))
                    seen[uid] = email.message_from_bytes(body, policy=email.policy.SMTP)
                    seen[uid].raw = body
        except (EOFError, OSError):  # the role that held it died
            self.readers.pop(user).close()
            return self.inbox(user)
        return list(seen.values())

    def reports(self, recipient, user="alice", action=None):
        """(report, fields of this recipient) of every DSN about a recipient."""
        found = []
        for m in self.inbox(user):
            for fields in report_recipients(m):
                if address_of(fields.get("Final-Recipient")) == recipient and action in (None, fields.get("Action")):
                    found.append((m, fields))
        return found

    def wait_report(self, recipient, action, user="alice", seconds=30):
        found = wait_until(lambda: self.reports(recipient, user, action), seconds, f"a report: {recipient} {action}", 0.1)
        equal(len(found), 1, f"reports about {recipient}")
        return found[0]


def report_recipients(message):
    """The fields of each recipient of a DSN; nothing when it is none."""
    return status_blocks(message)[1:]


def status_blocks(message):
    """The delivery status of a DSN as a list of field tables, the first about the message."""
    if message.get_content_type() != "multipart/report":
        return []
    part = rb"\r\nContent-Type: message/(?:global-)?delivery-status(?:\r\n[^\r\n]+)*\r\n\r\n(.*?)\r\n--"
    found = re.search(part, message.raw, re.S)
    blocks = found.group(1).decode().strip().split("\r\n\r\n") if found else []  # RFC 6533: may be UTF-8
    return [email.message_from_string(re.sub(r"\r\n[ \t]+", " ", b)) for b in blocks]


def address_of(field):
    """The address of "rfc822; a@b"."""
    return field.split(";", 1)[1].strip() if field and ";" in field else ""


def check_report(message, sender, host):
    """What every DSN must be: RFC 3462, 3464, 3834, 5322."""
    equal(message.get_content_type(), "multipart/report", "type of a report")
    equal(message.get_param("report-type"), "delivery-status", "report-type")
    equal(message["Auto-Submitted"], "auto-replied", "Auto-Submitted")
    check(message.raw.startswith(b"Return-Path: <>\r\n"), "a report delivered here:", message.raw[:200])
    equal(message["To"].addresses[0].addr_spec, sender, "To")
    equal(message["From"].addresses[0].username.upper(), "MAILER-DAEMON", "From")
    for field in ("Date", "Message-ID", "Subject", "MIME-Version"):
        check(message[field], f"a report without {field}")
    parts = list(message.iter_parts())
    kinds = [p.get_content_type() for p in parts]
    check(kinds[:2] == ["text/plain", "message/delivery-status"] and kinds[2] in ("text/rfc822-headers", "message/rfc822") or
          kinds[:2] == ["text/plain", "message/global-delivery-status"] and kinds[2] in ("message/global-headers",
                                                                                         "message/global"), "parts", kinds)
    check(all(p.defects == [] for p in message.walk()), "defects", [p.defects for p in message.walk()])
    check(max(map(len, message.raw.split(b"\r\n"))) <= 998, "a long line in a report")
    check(message.raw.isascii() or "global" in kinds[1], "8-bit bytes in a report")
    about = status_blocks(message)
    equal(about[0]["Reporting-MTA"].replace(" ", ""), f"dns;{host}", "Reporting-MTA")
    for fields in about[1:]:
        check(re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", fields["Status"].strip()), "Status", fields["Status"])
        check(fields["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded"), "Action", fields["Action"])
    return parts[0].get_content(), about


@contextlib.contextmanager
def world(*args, **options):
    w = World(*args, **options)
    try:
        yield w
    finally:
        w.close()
