"""Mail that goes out, against servers that answer anything at any step: a table of cases with what must become of each.

All messages of the table are submitted at once, before the first case is looked at; so their waits pass side by side.
"""
import email
import email.header
import os
import re
import sys

from fault_server import EXTENSIONS, Drip, Drop, Flood, Good, HalfClose, Quiet, Reset, Silent, Take, Turns, Wait
from harness import check, contains, equal, main, pss_kib, sanitized, wait_until
from outgoing import CONFIG, LIFETIME, ZONE, World, check_report

PROGRAM = ""
RECORDS = {
    f"null.{ZONE}": ["MX 0 ."],
    f"implicit.{ZONE}": ["A 127.0.2.1"],
    f"alias.{ZONE}": [f"CNAME canonical.{ZONE}."],
    f"canonical.{ZONE}": [f"MX 10 mx-canonical.{ZONE}."],
    f"mx-canonical.{ZONE}": ["A 127.0.2.2"],
    f"second.{ZONE}": [f"MX 10 dead.{ZONE}.", f"MX 20 alive.{ZONE}."],
    f"dead.{ZONE}": ["A 127.0.2.3"],
    f"alive.{ZONE}": ["A 127.0.2.4"],
    f"hole.{ZONE}": [f"MX 10 blackhole.{ZONE}.", f"MX 20 behind.{ZONE}."],
    f"blackhole.{ZONE}": ["A 127.0.2.5"],
    f"behind.{ZONE}": ["A 127.0.2.6"],
    f"six.{ZONE}": [f"MX 10 mx-six.{ZONE}."],
    f"mx-six.{ZONE}": ["AAAA ::1"],
    f"loop.{ZONE}": ["MX 10 mail.example.test."],
    f"loop2.{ZONE}": [f"MX 10 before.{ZONE}.", "MX 20 mail.example.test.", f"MX 30 after.{ZONE}."],
    f"before.{ZONE}": ["A 127.0.2.7"],
    f"after.{ZONE}": ["A 127.0.2.8"],
    f"nowhere.{ZONE}": [f"MX 10 no-such-host.{ZONE}."],
    f"several.{ZONE}": [f"MX 10 mx-several.{ZONE}."],
    f"mx-several.{ZONE}": ["A 127.0.2.9", "A 127.0.2.10"],
    f"busy.{ZONE}": [f"MX 10 busy1.{ZONE}.", f"MX 20 busy2.{ZONE}."],
    f"busy1.{ZONE}": ["A 127.0.2.11"],
    f"busy2.{ZONE}": ["A 127.0.2.12"],
    f"silent.{ZONE}": ["MX 10 mx.broken.example."],
    f"refused.{ZONE}": [f"MX 10 dead.{ZONE}."],
    f"numeric.{ZONE}": ["MX 10 127.0.2.30."],
    f"mxcname.{ZONE}": [f"MX 10 other-name.{ZONE}."],
    f"other-name.{ZONE}": [f"CNAME real-name.{ZONE}."],
    f"real-name.{ZONE}": ["A 127.0.2.31"],
    f"many.{ZONE}": [f"MX {n} many{n}.{ZONE}." for n in range(1, 41)],
    **{f"many{n}.{ZONE}": [f"A 127.0.2.{100 + n}"] for n in range(1, 41)},
    f"textonly.{ZONE}": ['TXT "no mail here"'],
}
BROKEN = ["broken.example"]

SENT, BOUNCED, EXPIRED = "sent", "bounced", "expired"
# where a case's servers lie when its domain is not one of d1, d2...: name of the domain -> [(name, address)]
PLACES = {
    "implicit": [("implicit", "127.0.2.1")],
    "alias": [("mx-canonical", "127.0.2.2")],
    "second": [("alive", "127.0.2.4")],
    "hole": [("behind", "127.0.2.6")],
    "six": [("mx-six", "::1")],
    "loop2": [("before", "127.0.2.7"), ("after", "127.0.2.8")],
    "several": [("mx-several", "127.0.2.9"), ("mx-several", "127.0.2.10")],
    "mxcname": [("other-name", "127.0.2.31")],
    "many": [("many15", "127.0.2.115")],
    "[127.0.2.20]": [("literal", "127.0.2.20")],
    "busy": [("busy1", "127.0.2.11"), ("busy2", "127.0.2.12")],
}

LETTER8 = "Grüße aus München, 中文\r\n".encode() * 3
CASES = []
PLAIN = {"extensions": [e for e in EXTENSIONS if e != "CHUNKING"]}  # with DATA


class Case:
    """One message to one domain, what the servers there say, and what must become of each recipient.

    expect: one of SENT, BOUNCED, EXPIRED for all, or {localpart: one}. copies: how often the message may be taken.
    tries: least number of connections. status, words: of the DSN (a regular expression, a part of the diagnostic).
    """

    def __init__(self, name, expect, script=None, to=("a",), domain=None, server=None, body="Hello.\r\n", mail="", rcpt="",
                 subject=None, more="", copies=1, tries=1, status=None, words=None, reports=True, check=None):
        self.name, self.to = name, to
        self.expect = expect if isinstance(expect, dict) else dict.fromkeys(to, expect)
        self.script, self.place, self.server = script or {}, domain, server or {}
        self.body, self.mail, self.rcpt, self.subject, self.more = body, mail, rcpt, subject, more
        self.copies, self.tries, self.status, self.words, self.reports = copies, tries, status, words, reports
        self.more_checks = check
        CASES.append(self)

    def start(self, w, session):
        self.w, self.hosts = w, []
        if self.place is None:
            host = w.host(script=self.script, **self.made(w))
            self.domain, self.hosts = host.domain, [host]
        else:
            self.domain = self.place if "." in self.place or "[" in self.place else f"{self.place}.{ZONE}"
            scripts = self.script if isinstance(self.script, list) else None
            for i, (name, ip) in enumerate(PLACES.get(self.place, [])):
                script = scripts[i] if scripts else self.script
                self.hosts.append(w.server.host(f"{name}.{ZONE}", ip, script, **self.made(w)))
        self.addresses = [f"{local}@{self.domain}" for local in self.to]
        self.text = w.letter(subject=self.subject, to=self.addresses[0], body=self.body, more=self.more)
        self.id = w.submit(self.addresses, self.text, mail=self.mail, rcpt=self.rcpt, session=session)

    def made(self, w):
        """Options of the server; those that need the world's certificates are functions."""
        return {k: v(w, f"mx{w.used + 1}.{ZONE}") if callable(v) else v for k, v in self.server.items()}

    @property
    def host(self):
        return self.hosts[0]

    def sessions(self):
        return sum(len(h.sessions) for h in self.hosts)

    def messages(self, address=None):
        return [m for h in self.hosts for m in h.messages if address is None or address in m.addresses]

    def verify(self):
        for address in self.addresses:
            local = address.rsplit("@", 1)[0]
            getattr(self, "is_" + self.expect[local])(address)
            self.is_told(address, "sent" if self.expect[local] == SENT else "failed")
        check(self.sessions() >= self.tries or not self.hosts, f"{self.sessions()} connections, wanted {self.tries}")
        if self.more_checks:
            self.more_checks(self)

    def gone(self, address, seconds):
        wait_until(lambda: self.w.entry(self.id, address) is None, seconds, f"{address} leaving the queue")

    def is_sent(self, address):
        wait_until(lambda: self.messages(address), LIFETIME, f"the arrival for {address}")
        self.gone(address, 10)
        got = self.messages(address)
        equal(len(got), self.copies, f"copies for {address}")
        equal(got[-1].sender, f"alice@{self.w.h.domain}", "envelope sender")
        equal(self.w.reports(address, action="failed"), [], "failure reports")

    def is_told(self, address, end):
        """The trace ends with what became of the recipient, and names the server that took it."""
        events = self.w.events(self.id, address)
        ends = [e for e in events if e["event"] in ("sent", "failed")]
        equal([e["event"] for e in ends], [end], f"ends in the trace of {address}: {events}")
        if end == "sent":
            m = self.messages(address)[-1]
            equal((ends[0]["host"], bool(ends[0].get("tls"))), (m.host, bool(m.tls)) if "[" not in address else
                  ("127.0.2.20", False), "host and TLS in the trace")
        elif self.reports:
            check(any(e["event"] == "reported" for e in self.w.events(self.id)), "the trace does not tell of the report")

    def is_bounced(self, address, seconds=LIFETIME):
        if self.reports:
            self.is_reported(address, seconds)
        self.gone(address, seconds + 5)
        check(not self.messages(address) or self.copies != 1, f"{address} was taken all the same")

    def is_reported(self, address, seconds):
        report, fields = self.w.wait_report(address, "failed", seconds=seconds)
        text, _ = check_report(report, f"alice@{self.w.h.domain}", f"mail.{self.w.h.domain}")
        contains(text, address, "text for people")
        contains(list(report.iter_parts())[2].get_payload(decode=True) or
                 str(list(report.iter_parts())[2]).encode(), b"Message-ID", "the original's header")
        if self.status:
            check(re.fullmatch(self.status, fields["Status"].strip()), f"Status {fields['Status']}, wanted {self.status}")
        if self.words:
            contains(fields["Diagnostic-Code"] or "", self.words, "Diagnostic-Code")
            contains(re.sub(r"\s+", " ", text), self.words, "text for people")

    def is_expired(self, address):
        self.is_bounced(address, LIFETIME + 25)
        tries = sum(c.startswith("MAIL") for h in self.hosts for c in h.commands()) + self.sessions()
        check(tries >= 3 or not self.hosts, f"only {tries} connections and transactions in a life")


def tls(kind="good"):
    """An option of Case: a server that speaks TLS with a certificate of a kind."""
    def make(w, name):
        c = w.certificates
        return {"good": lambda: c.context(name), "self": lambda: c.context(name, signed=False),
                "expired": lambda: c.context(name, expired=True), "other": lambda: c.context("elsewhere.example"),
                "old": lambda: c.old_only(name)}[kind]()
    return {"tls": make}


def secure(yes):
    def look(case):
        equal([bool(m.tls) for m in case.messages()], [yes] * len(case.messages()), "TLS of the messages")
    return look


def once(action):
    """First the fault, then a good server."""
    return Turns(action, Good())


# ---- what a good server gets ----

def exact(case):
    """Byte for byte what was submitted, behind the fields that the post house put in front."""
    m = case.messages()[0]
    check(m.content.endswith(case.text), "content:", m.content[-400:], "wanted", case.text[-400:])
    equal(re.findall(rb"(?m)^[\w-]+:", m.content[:-len(case.text)]), [b"Received:"], "fields put in front")
    check(b"\r\nBcc:" not in m.content, "Bcc")


def one_transaction(case):
    equal(len(case.messages()), 1, "transactions")
    equal(sorted(case.messages()[0].addresses), sorted(case.addresses), "recipients of the transaction")


Case("plain", SENT, check=exact)
Case("three_recipients_one_transaction", SENT, to=("a", "b", "c"), check=one_transaction)
Case("dots_and_a_last_line", SENT, body=".\r\n..\r\n.x\r\n\r\n.\r\n", check=exact)
Case("dots_without_chunking", SENT, server={"extensions": ("PIPELINING", "8BITMIME")}, body=".\r\n..\r\n.x\r\n\r\n.\r\n",
     check=exact)
Case("no_pipelining", SENT, server={"extensions": ("SIZE 1000000",)}, to=("a", "b"), check=one_transaction)
Case("helo_only", SENT, server={"extensions": ()}, to=("a", "b"), check=exact)
Case("ehlo_drops_then_helo", SENT, {"ehlo": "500 what?"}, check=exact)
Case("multi_line_replies", SENT, {"banner": "220-one\n220-two\n220 three", "mail": "250-x\n250 y", "rcpt": "250-\n250 ",
                                  "end": "250-2.0.0 fine\n250 2.0.0 taken"}, check=exact)
Case("replies_without_text", SENT, {"mail": b"250\r\n", "rcpt": b"250\r\n", "end": (Take(), b"250\r\n")}, check=exact)
Case("replies_251_252", SENT, {"rcpt": {f"b@{ZONE}": "252 perhaps", "*": "251 2.1.5 will forward"}}, to=("a", "b"))
Case("slow_but_alive", SENT, {"banner": Drip("220 slow.example ESMTP", 0.05), "ehlo": (Wait(1), Good()),
                              "end": (Wait(2), Good())}, copies=1)
Case("tls_good", SENT, server=tls(), check=secure(True))
Case("tls_self_signed", SENT, server=tls("self"), check=secure(True))
Case("tls_expired", SENT, server=tls("expired"), check=secure(True))
Case("tls_other_name", SENT, server=tls("other"), check=secure(True))
Case("tls_too_old", SENT, server=tls("old"), check=secure(False))
Case("tls_refused", SENT, {"starttls": "454 4.7.0 TLS not available"}, server=tls(), check=secure(False))
Case("tls_garbage", SENT, {"tls": (b"garbage, not TLS\r\n" * 20, Drop())}, server=tls(), check=secure(False))
Case("tls_drop", SENT, {"tls": Drop()}, server=tls(), check=secure(False))
Case("tls_never_answers", SENT, {"tls": Silent()}, server=tls(), check=secure(False))
Case("tls_injection", SENT, {"starttls": once((b"220 go\r\n250 injected.example\r\n", Silent()))}, server=tls())
Case("eight_bit", SENT, body=LETTER8, mail="BODY=8BITMIME",
     more="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", check=exact)


def seven_bit(case):
    m = case.messages()[0]
    check(m.content.isascii(), "8-bit bytes reached a server that takes none")
    got = email.message_from_bytes(m.content)
    equal(got.get_payload(decode=True).replace(b"\r\n", b"\n"), LETTER8.replace(b"\r\n", b"\n"), "the text")
    equal(got.get_content_charset(), "utf-8", "charset")


Case("eight_bit_to_seven_bit", SENT, server={"extensions": ("PIPELINING", "SIZE")}, body=LETTER8, mail="BODY=8BITMIME",
     more="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", check=seven_bit)


UTF8_TEXT = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
Case("eight_bit_undeclared", SENT, body=LETTER8, more=UTF8_TEXT, check=exact)
Case("eight_bit_undeclared_to_seven_bit", SENT, server={"extensions": ("PIPELINING", "SIZE")}, body=LETTER8, more=UTF8_TEXT,
     check=seven_bit)


def same_text(case):
    got = email.message_from_bytes(case.messages()[0].content)
    equal(got.get_payload(decode=True).split(), case.body.encode().split(), "text")


Case("long_lines", SENT, body="z" * 5000 + "\r\nshort\r\n", check=same_text)
Case("long_lines_without_chunking", SENT, server=PLAIN, body="z" * 5000 + "\r\nshort\r\n", check=same_text)
Case("long_lines_to_binary", SENT, server={"extensions": [*EXTENSIONS, "BINARYMIME"]}, body="z" * 5000 + "\r\nshort\r\n",
     check=same_text)


def subject_arrives(case):
    got = email.message_from_bytes(case.messages()[0].content)
    raw = re.search(rb"(?m)^Subject: (.*)\r$", case.messages()[0].content).group(1)
    shown = str(email.header.make_header(email.header.decode_header(got["Subject"]))) if raw.isascii() else raw.decode()
    equal(shown, case.subject, "subject")


Case("utf8_header_undeclared", SENT, subject="Grüße 中文", check=subject_arrives)
Case("utf8_header_undeclared_to_ascii", SENT, server={"extensions": ("PIPELINING", "SIZE", "8BITMIME")}, subject="Grüße 中文",
     check=subject_arrives)


def utf8_kept(case):
    m = case.messages()[0]
    check("SMTPUTF8" in m.parameters, m.parameters)
    exact(case)


Case("smtputf8", SENT, to=("用户",), subject="中文", mail="SMTPUTF8 BODY=8BITMIME", check=utf8_kept)
Case("smtputf8_unknown", BOUNCED, to=("用户",), server={"extensions": ("PIPELINING", "8BITMIME")},
     mail="SMTPUTF8 BODY=8BITMIME", status=r"5\.6\.7")

# ---- refusals: by recipient, by step ----

Case("mixed_recipients", {"good": SENT, "later": SENT, "never": BOUNCED},
     {"rcpt": {"never": "550 5.1.1 nobody of that name", "later": Turns("450 4.2.1 later", Good())}},
     to=("good", "later", "never"), status=r"5\.1\.1", words="nobody of that name")
for step in ("banner", "ehlo", "mail", "rcpt", "data", "end"):
    script = {step: once("421 4.3.2 going down")}
    if step == "ehlo":
        script["helo"] = script["ehlo"]
    server = PLAIN if step == "data" else {}
    Case(f"421_at_{step}", SENT, script, server=server, tries=2)
    Case(f"421_and_close_at_{step}", SENT, {step: once(("421 4.3.2 going down", Drop()))}, server=server, tries=2)
for step in ("mail", "rcpt", "data", "end"):
    server = PLAIN if step == "data" else {}
    Case(f"4xx_at_{step}", SENT, {step: once("451 4.3.0 try again later")}, server=server)
    Case(f"5xx_at_{step}", BOUNCED, {step: "554 5.7.1 we do not want this"}, server=server, status=r"5\.7\.1",
         words="we do not want this")
for step in ("connect", "banner", "ehlo", "mail", "rcpt", "data", "bdat", "end", "starttls"):
    options = tls() if step == "starttls" else PLAIN if step == "data" else {}
    Case(f"drop_at_{step}", SENT, {step: once(Drop())}, server=options, tries=1 if step == "bdat" else 2)
    Case(f"reset_at_{step}", SENT, {step: once(Reset())}, server=options, tries=1 if step == "bdat" else 2)
    Case(f"half_closed_at_{step}", SENT, {step: once(HalfClose())}, server=options, tries=1 if step == "bdat" else 2)
Case("drop_at_rset", SENT, {"rset": Drop(), "quit": Drop()})
Case("silent_banner", SENT, {"banner": once(Silent())}, tries=2)
Case("silent_at_rcpt", SENT, {"rcpt": once(Silent())}, tries=2)
Case("banner_4xx_for_ever", EXPIRED, {"banner": "450 4.3.2 not now"}, tries=2)
Case("banner_5xx", BOUNCED, {"banner": "554 5.7.1 your kind is not served here"}, words="your kind is not served here")
Case("greylisted", SENT, {"rcpt": once("450 4.2.0 Greylisted, please try again in 1 seconds")}, tries=1)
Case("4xx_for_ever", EXPIRED, {"rcpt": "452 4.2.2 the mailbox is full"}, status=r"[45]\.\d+\.\d+", words="the mailbox is full")
Case("refused_as_552", BOUNCED, {"rcpt": "552 5.2.2 over quota"}, status=r"5\.2\.2")
Case("no_status_code", BOUNCED, {"rcpt": "550 no such user"}, status=r"5\.\d\.\d", words="no such user")

# ---- the outcome is not known ----


def told_of_duplicate(case):
    events = [e for e in case.w.trace(case.id)]
    check(any("possible_duplicate" in str(e) for e in events), "the trace does not speak of a possible duplicate:", events)
    log = case.w.h.log()
    lines = [line for line in log.splitlines() if "possible_duplicate" in line and case.id in line]
    check(lines, "no possible_duplicate in the log for", case.id)


Case("dropped_after_it_was_taken", SENT, {"end": once((Take(), Drop()))}, copies=2, tries=2, check=told_of_duplicate)
Case("reset_after_it_was_taken", SENT, {"end": once((Take(), Reset()))}, copies=2, tries=2, check=told_of_duplicate)
Case("silent_after_it_was_taken", SENT, {"end": once((Take(), Silent()))}, copies=2, tries=2, check=told_of_duplicate)
Case("garbage_after_it_was_taken", SENT, {"end": once((Take(), b"\0\xff what\r\n"))}, copies=2, tries=2)


def no_doubt(case):
    """The content never went out whole: nothing can have been taken."""
    equal([e for e in case.w.events(case.id) if e["event"] == "possible_duplicate"], [], "doubts without a reason")


BIG = "x" * 76 + "\r\n"
Case("drop_amid_content", SENT, {"content": once(Drop())}, server=PLAIN, body=BIG * 60000, tries=2, check=no_doubt)
Case("reset_amid_content", SENT, {"content": once((Wait(0.2), Reset()))}, server=PLAIN, body=BIG * 60000, tries=2, check=no_doubt)
Case("drop_amid_chunk", SENT, {"content": once((Wait(0.2), Drop()))}, body=BIG * 60000, tries=2, check=no_doubt)
Case("stalls_amid_content", SENT, {"content": once((Wait(8), Drop()))}, server=PLAIN, body=BIG * 100000, tries=2, check=no_doubt)
Case("stalls_amid_chunk", SENT, {"content": once((Wait(8), Drop()))}, body=BIG * 100000, tries=2, check=no_doubt)
Case("refuses_amid_content", BOUNCED, {"content": ("552 5.3.4 too large, stop", Drop())}, server=PLAIN, body=BIG * 60000)
Case("drop_at_rcpt_no_doubt", SENT, {"rcpt": once(Drop())}, server=PLAIN, tries=2, check=no_doubt)
Case("drop_at_mail_over_tls", SENT, {"mail": once(Drop())}, server=tls(), tries=2, check=secure(True))
Case("taken_then_dropped", SENT, {"end": ("250 2.0.0 ok", Drop())}, copies=1)

# ---- servers that harm ----

Case("refusal_with_control_bytes", BOUNCED, {"rcpt": b"550 5.1.1 no \x1b[31m\xff\xfe caf\xc3\xa9 \0 \x07\r\n"}, status=r"5\.1\.1",
     words="no")
Case("refusal_of_many_lines", BOUNCED, {"rcpt": "\n".join([f"550-5.1.1 line {i} " + "y" * 400 for i in range(60)]) +
                                        "\n550 5.1.1 enough"}, status=r"5\.1\.1", words="line 0")
Case("refusal_with_header_in_it", BOUNCED, {"rcpt": b"550 5.1.1 no\rAction: delivered\r\n"}, status=r"5\.1\.1")

Case("banner_of_10_mb", SENT, {"banner": once(Flood(b"220-" + b"x" * 65532, 160))}, tries=2)
Case("banner_endless_lines", SENT, {"banner": once(Flood(b"220-hello\r\n" * 5000, 200))}, tries=2)
Case("ehlo_endless_lines", SENT, {"ehlo": once(Flood(b"250-XHELLO\r\n" * 5000, 200))}, tries=2)
Case("reply_endless_lines", SENT, {"rcpt": once(Flood(b"250-ok\r\n" * 5000, 200))}, tries=2)
Case("banner_garbage", SENT, {"banner": once(b"\x16\x03\x01\0\0\xff\xfe\r\n\0\0\0\r\n")}, tries=2)
Case("banner_of_http", SENT, {"banner": once((b"HTTP/1.1 400 Bad Request\r\n\r\n", Drop()))}, tries=2)
Case("reply_before_command", SENT, {"banner": once(b"220 hi\r\n250 unasked\r\n250 again\r\n")}, tries=2)
Case("reply_garbage_at_mail", SENT, {"mail": once(b"what is this\r\n")}, tries=2)
Case("reply_code_changes", SENT, {"rcpt": once(b"250-ok\r\n550 no\r\n")}, server=PLAIN, tries=2)
Case("reply_code_999", SENT, {"rcpt": once(b"999 what\r\n")}, tries=2)
Case("reply_nul_bytes", SENT, {"rcpt": "250 \0\0\0 \x7f ok"})
Case("bare_lf_replies", SENT, {"banner": b"220 unix\n", "rcpt": b"250 ok\n"})
Case("too_many_replies", SENT, {"rcpt": once(b"250 one\r\n250 two\r\n250 three\r\n")}, server=PLAIN, tries=2)
Case("too_few_replies", SENT, {"rcpt": once(Quiet())}, server=PLAIN, tries=2)
# the whole transaction is under way when the reply turns out to be none: it was taken, and nobody knows
Case("reply_garbage_amid_pipelined_content", SENT, {"rcpt": once(b"250-ok\r\n550 no\r\n")}, tries=2, copies=2,
     check=told_of_duplicate)
Case("early_end_reply", SENT, {"data": once(b"354 go\r\n250 taken already\r\n"), "bdat": once(b"250 a\r\n250 b\r\n")},
     server={"extensions": ("PIPELINING",)})
Case("354_without_recipients", BOUNCED, {"rcpt": "550 5.1.1 none", "other": "354 go on all the same", "end": "250 thanks"},
     server={"extensions": ("PIPELINING", "SIZE")}, status=r"5\.1\.1")
Case("250_in_place_of_354", SENT, {"data": once(b"250 ok\r\n")}, server={"extensions": ("PIPELINING", "SIZE")}, tries=2)

# ---- where it goes ----

Case("null_mx", BOUNCED, domain="null", status=r"5\.1\.10")
Case("implicit_mx", SENT, domain="implicit")
Case("cname", SENT, domain="alias")
Case("dead_first_mx", SENT, domain="second")
Case("black_hole_first_mx", SENT, domain="hole")
Case("ipv6_only", SENT, domain="six")
Case("literal", SENT, domain="[127.0.2.20]")
Case("nxdomain", BOUNCED, domain="no-such-domain.example", status=r"5\.1\.2|5\.4\.4")
Case("no_mx_no_address", BOUNCED, domain="textonly", status=r"5\.1\.2|5\.4\.4|5\.1\.10")
Case("mx_without_address", EXPIRED, domain="nowhere")
Case("mx_is_an_address", BOUNCED, domain="numeric", status=r"5\.\d\.\d")
Case("mx_is_a_cname", SENT, domain="mxcname")
Case("many_mx", SENT, domain="many")
Case("servfail", EXPIRED, domain="broken.example")
Case("mx_servfail", EXPIRED, domain="silent")
Case("connection_refused", EXPIRED, domain="refused")
Case("loop_to_self", BOUNCED, domain="loop", status=r"5\.4\.6")
Case("loop_cuts_later_mx", SENT, domain="loop2", check=lambda c: equal(len(c.hosts[1].sessions), 0, "tries behind ourselves"))
Case("second_address", SENT, [{"banner": Drop()}, {}], domain="several")
Case("busy_first_mx", SENT, [{"banner": "421 4.3.2 too busy"}, {}], domain="busy",
     check=lambda c: check(c.hosts[1].messages, "not by the second server"))

# ---- SIZE, DSN ----

Case("too_large_by_size", BOUNCED, server={"extensions": ("PIPELINING", "SIZE 2000")}, body=BIG * 100,
     status=r"5\.3\.4", check=lambda c: check(not any(x.startswith("RCPT") for x in c.host.commands()), c.host.commands()))


def passed_on(case):
    m = case.messages()[0]
    equal(m.parameters.get("ENVID"), "letter+2B7", "ENVID")
    equal(m.parameters.get("RET"), "HDRS", "RET")
    _, parameters = m.recipients[0]
    equal(parameters.get("NOTIFY", "").upper().split(","), ["SUCCESS", "FAILURE"], "NOTIFY")
    equal(parameters.get("ORCPT", "").lower(), f"rfc822;a@{case.domain}", "ORCPT")
    equal(case.w.reports(case.addresses[0]), [], "reports of ours")


Case("dsn_passed_on", SENT, mail="RET=HDRS ENVID=letter+2B7", rcpt="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@@DOMAIN@",
     check=passed_on)


def relayed(case):
    report, fields = case.w.wait_report(case.addresses[0], "relayed")
    _, about = check_report(report, f"alice@{case.w.h.domain}", f"mail.{case.w.h.domain}")
    equal(about[0]["Original-Envelope-Id"], "q7", "Original-Envelope-Id")
    check(fields["Status"].startswith("2."), fields["Status"])


Case("dsn_relayed", SENT, server={"extensions": ("PIPELINING", "SIZE")}, mail="ENVID=q7", rcpt="NOTIFY=SUCCESS", check=relayed)
Case("dsn_never", BOUNCED, {"rcpt": "550 5.1.1 no"}, rcpt="NOTIFY=NEVER", reports=False,
     check=lambda c: equal(c.w.reports(c.addresses[0]), [], "reports in spite of NOTIFY=NEVER"))
Case("dsn_success_only", BOUNCED, {"rcpt": "550 5.1.1 no"}, rcpt="NOTIFY=SUCCESS", reports=False,
     check=lambda c: equal(c.w.reports(c.addresses[0]), [], "failure reports in spite of NOTIFY=SUCCESS"))


def returned(whole):
    def look(case):
        report, _ = case.w.wait_report(case.addresses[0], "failed")
        part = list(report.iter_parts())[2]
        equal(part.get_content_type(), "message/rfc822" if whole else "text/rfc822-headers", "third part")
        equal(b"unmistakable words" in report.raw, whole, "the text is returned")
    return look


Case("dsn_ret_full", BOUNCED, {"rcpt": "550 5.1.1 no"}, mail="RET=FULL", body="unmistakable words\r\n", check=returned(True))
Case("dsn_ret_hdrs", BOUNCED, {"rcpt": "550 5.1.1 no"}, mail="RET=HDRS", body="unmistakable words\r\n", check=returned(False))


def notice(case):
    """One notice that it waits, sent before the end, then the failure."""
    report, fields = case.w.wait_report(case.addresses[0], "delayed")
    check_report(report, f"alice@{case.w.h.domain}", f"mail.{case.w.h.domain}")
    check(fields["Status"].startswith("4."), fields["Status"])
    check(fields["Will-Retry-Until"], "Will-Retry-Until")


Case("delay_notice", EXPIRED, {"rcpt": "450 4.2.0 busy"}, check=notice)
Case("no_delay_notice_unasked", EXPIRED, {"rcpt": "450 4.2.0 busy"}, rcpt="NOTIFY=FAILURE",
     check=lambda c: equal(c.w.reports(c.addresses[0], action="delayed"), [], "delay notices that nobody asked for"))


# ---- the table is run ----

WORLD = []


def wanted(name):
    return not sys.argv[2:] or any(part in name for part in sys.argv[2:])


def begin():
    """The world, with all cases that are wanted under way."""
    w = World(PROGRAM, CONFIG, RECORDS, BROKEN)
    WORLD.append(w)
    w.black_hole("127.0.2.5")
    session, n = w.login(), 0
    for case in CASES:
        if wanted("test_case_" + case.name):
            case.rcpt = case.rcpt.replace("@DOMAIN@", f"d{w.used + 1}.{ZONE}")
            case.start(w, session)
            n += 1
            if n % 40 == 0:
                session.close()
                session = w.login()
    session.close()


def test_of(case):
    def test(_):
        case.verify()
    return test


for case in CASES:
    globals()["test_case_" + case.name] = test_of(case)


# ---- the end of the world that all of these share ----

def test_nothing_was_said_wrongly(_):
    """What the program said to all these servers was lawful SMTP."""
    equal(WORLD[0].server.wrong, [], "offences against SMTP")


def test_every_acknowledged_message_has_an_end(_):
    """Nothing of the table is left in the queue."""
    w = WORLD[0]
    mine = {c.id for c in CASES if hasattr(c, "id")}
    wait_until(lambda: not mine & set(w.queue()), LIFETIME + 25, "an empty queue")


def test_roles_lived_through_it(_):
    w = WORLD[0]
    for r in w.h.status()["roles"]:
        equal(r["restarts"], 0, f"restarts of {r['role']}")
    pid = w.h.pids("outbound")[0]
    if not sanitized(pid):
        check(pss_kib([pid]) < 48 * 1024, f"outbound holds {pss_kib([pid])} KiB")
    equal(w.h.close(), "", "the end")


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    try:
        begin()
        code = main(sys.modules[__name__], own_houses=True)
    finally:
        for world in WORLD:
            world.close()
    sys.exit(code)
