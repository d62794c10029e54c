"""SMTP and LMTP as clients see them: real sockets, and what arrived is looked at over IMAP."""
import base64
import contextlib
import re
import smtplib
import ssl
import sys
import time

from harness import (House, Smtp, Wrong, check, contains, equal, main, pss_kib, wait_until)

PROGRAM = ""
BODY = b"From: stranger@example.org\r\nSubject: %s\r\n\r\n%s"


def mail(subject, text="text\r\n"):
    subject = subject.encode() if isinstance(subject, str) else subject
    return BODY % (subject, text.encode() if isinstance(text, str) else text)


def latest(h, user="alice", mailbox="INBOX"):
    """The newest message, without the fields that the post house put in front."""
    with h.imap(user, select=mailbox) as t:
        n = t.count()
        check(n > 0, f"{mailbox} of {user} is empty")
        return t.body(n)


def count(h, user="alice"):
    with h.imap(user, select="INBOX") as t:
        return t.count()


def own(message):
    """What the client sent: behind Return-Path and our Received with its folded lines."""
    return re.sub(rb"\A(Return-Path: [^\r]*\r\n)?Received: [^\r]*\r\n([ \t][^\r]*\r\n)*", b"", message)


# ---- greetings ----

def test_banner_and_keywords(h):
    with h.talk("smtp") as t:
        contains(t.line(), f"220 mail.{h.domain} ESMTP", "banner")
    with h.smtp(hello=None) as t:
        _, lines = t.say("EHLO client.example.org", 250)
        words = {line.split()[0]: line for line in lines[1:]}
        for word in ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME",
                     "DSN", "STARTTLS", "LIMITS", "HELP"):
            check(word in words, word, "is not in", lines)
        equal(words["SIZE"], "SIZE 50000000")
        contains(words["LIMITS"], "RCPTMAX=1000")
        check("AUTH" not in words, "AUTH at port 25")
        t.say("QUIT", 221)
        t.ended()
    with h.smtp("submission") as t:
        contains(t.say("EHLO x", 250)[1], "AUTH SCRAM-SHA-256 PLAIN LOGIN")
    with h.smtp("submissions") as t:
        _, lines = t.say("EHLO x", 250)
        contains(lines, "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN")
        check("STARTTLS" not in lines, "STARTTLS inside TLS")


def test_ipv6_is_served_too(h):
    try:
        with open("/proc/net/if_inet6") as f:
            if not re.search(r"\blo$", f.read(), re.M):
                return
    except OSError:
        return
    own_house = House(PROGRAM, auto=True)
    with Smtp(("::1", own_house.ports["smtp"])) as t:
        t.reply(220)
        t.say("QUIT", 221)


def test_person_at_telnet(h):
    """Lower case, blanks, HELO, no angle brackets: a person gets along."""
    with h.smtp(hello=None) as t:
        t.say("helo laptop", 250)
        t.say("mail from: me@example.org", 250)
        t.say("rcpt to: alice@example.test", 250)
        t.say("data", 354)
        t.send("Subject: typed\r\n\r\nhello\r\n.\r\n")
        t.reply(250)
        t.say("quit", 221)
    contains(latest(h), b"Subject: typed")


def test_help_and_vrfy(h):
    with h.smtp() as t:
        _, lines = t.say("HELP", 214)
        contains(" ".join(lines), "MAIL")
        contains(t.say("HELP MAIL", 214)[1][0], "MAIL FROM:")
        t.say("VRFY alice", 252, "2.1.5")
        t.say("EXPN list", 502)
        t.say("NOOP", 250)


# ---- messages ----

def test_smtplib_message_whole(h):
    with smtplib.SMTP("127.0.0.1", h.ports["smtp"]) as s:
        s.ehlo()
        text = "From: a@example.org\r\nSubject: lib\r\n\r\n.dots\r\n..more\r\n.\r\nend\r\n"
        s.sendmail("a@example.org", ["alice@example.test"], text)
    message = latest(h)
    equal(own(message), text.encode(), "the message as it was sent")
    check(message.startswith(b"Return-Path: <a@example.org>\r\nReceived: from "), message[:200])
    contains(message, f"by mail.{h.domain}".encode())
    contains(message, b"with ESMTP")
    contains(message, b"[127.0.0.1]")


def test_queue_id_is_the_one_in_received(h):
    queue_id = h.send(body=mail("id"))
    contains(latest(h), b"id " + queue_id.encode())
    contains(h.log(), queue_id, "log")


def test_received_names_tls(h):
    with h.smtp() as t:
        t.say("STARTTLS", 220)
        t.start_tls()
        t.say("EHLO client.example.org", 250)
        t.message("a@example.org", ["alice@example.test"], mail("tls"))
    contains(latest(h), b"with ESMTPS")


PIPELINED = ("EHLO client.example.org\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<alice@example.test>\r\n"
             "RCPT TO:<nobody@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n")


def pipelined_replies(t):
    equal([t.reply()[0] for _ in range(6)], [250, 250, 250, 550, 250, 354], "codes")


def test_pipelining_in_one_segment(h):
    before = count(h, "bob")
    with h.smtp(hello=None) as t:
        t.send(PIPELINED)
        pipelined_replies(t)
        t.send(mail("one segment") + b".\r\nMAIL FROM:<>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        equal([t.reply()[0] for _ in range(5)], [250, 250, 250, 250, 221], "codes behind the message")
        t.ended()
    equal(count(h, "bob"), before + 1)


def test_pipelining_byte_by_byte(h):
    with h.smtp(hello=None) as t:
        for data in (PIPELINED.encode(), mail("byte by byte") + b".\r\nQUIT\r\n"):
            for i in range(len(data)):
                t.sock.sendall(data[i:i + 1])
                if i % 16 == 0:
                    time.sleep(0.001)  # a segment of its own, not one gathered by the kernel
            if data.startswith(b"EHLO"):
                pipelined_replies(t)
        equal([t.reply()[0], t.reply()[0]], [250, 221])
    contains(latest(h), b"byte by byte")


def test_content_in_the_segment_of_data(h):
    """Not what RFC 2920 tells clients to do, but its meaning is clear, and nothing of it may become a command."""
    before = count(h)
    with h.smtp() as t:
        t.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + mail("QUIT\r\nX: y") +
               b".\r\nNOOP\r\n")
        equal([t.reply()[0] for _ in range(5)], [250, 250, 354, 250, 250])
    equal(count(h), before + 1)


def test_data_with_no_recipients(h):
    with h.smtp() as t:
        t.say("DATA", 503, "5.5.1")
        t.say("RCPT TO:<alice@example.test>", 503)
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("RCPT TO:<nobody@example.test>", 550, "5.1.1")
        t.say("DATA", 554, "5.5.1")
        t.say("RCPT TO:<alice@example.test>", 250)
        t.say("DATA", 354)
        t.send(mail("after a failed one") + b".\r\n")
        t.reply(250)


def test_order_of_commands(h):
    with h.smtp(hello=None) as t:
        t.say("MAIL FROM:<a@example.org>", 503)
        t.say("EHLO x", 250)
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("MAIL FROM:<b@example.org>", 503, "5.5.1")
        t.say("RSET", 250)
        t.say("RCPT TO:<alice@example.test>", 503)
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("EHLO x", 250)
        t.say("RCPT TO:<alice@example.test>", 503)
        t.say("NONSENSE", 500, "5.5.2")


# ---- recipients ----

def test_unknown_recipient_and_relay(h):
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org>", 250)
        _, lines = t.say("RCPT TO:<nobody@example.test>", 550)
        contains(lines[0], "Nobody has this address here")
        check(t.say("RCPT TO:<x@elsewhere.example>")[0] == 550, "relaying")
        t.say("RCPT TO:<Alice@EXAMPLE.test>", 250)
        t.say("RCPT TO:<postmaster@example.test>")  # with or without admin: no crash


def enhanced(reply):
    return reply[1][0].split()[0]


def test_status_codes_of_recipients(h):
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org>", 250)
        equal(enhanced(t.say("RCPT TO:<nobody@example.test>", 550)), "5.1.1")
        equal(enhanced(t.say("RCPT TO:<x@elsewhere.example>", 550)), "5.7.1")
        equal(enhanced(t.say("RCPT TO:<bob@example.test>", 250)), "2.1.5")


def test_plus_addresses(h):
    h.send("alice+shop@example.test", mail("to a tag"))
    contains(latest(h), b"to a tag")


def test_alias_to_several(h):
    h.cli("alias", "add", "team@example.test", "alice@example.test", "bob@example.test", "--json")
    a, b = count(h, "alice"), count(h, "bob")
    h.send("team@example.test", mail("to the team"))
    equal((count(h, "alice"), count(h, "bob")), (a + 1, b + 1))
    contains(latest(h, "bob"), b"to the team")
    # who stands in it twice gets it once
    with h.smtp() as t:
        t.message("a@example.org", ["team@example.test", "alice@example.test"], mail("once"))
    equal((count(h, "alice"), count(h, "bob")), (a + 2, b + 2))


def test_catchall(h):
    h.cli("domain", "add", "catch.example", "--catchall", "bob@example.test", "--json")
    before = count(h, "bob")
    h.send("whoever@catch.example", mail("caught"))
    equal(count(h, "bob"), before + 1)
    h.cli("domain", "set", "catch.example", "--no-catchall", "--json")
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("RCPT TO:<whoever@catch.example>", 550)


def test_rcptmax(h):
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org>", 250)
        for i in range(0, 1000, 100):
            t.send("".join(f"RCPT TO:<alice+{i + k}@example.test>\r\n" for k in range(100)))
            for _ in range(100):
                t.reply(250)
        t.say("RCPT TO:<alice@example.test>", 452, "4.5.3")
        before = count(h)
        t.say("DATA", 354)
        t.send(mail("a thousand names of one") + b".\r\n")
        t.reply(250)
    equal(count(h), before + 1)


# ---- extensions ----

def test_size(h):
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org> SIZE=51000000", 552)
        t.say("MAIL FROM:<a@example.org> SIZE=many", 501, "5.5.4")
        t.say("MAIL FROM:<a@example.org> SIZE=50000000", 250)


def test_bdat_chunks(h):
    content = mail("chunks", ".\r\n.. all dots stay\r\n.\r\n")
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"])
        for part, last in ((content[:10], ""), (content[10:11], ""), (b"", ""), (content[11:], " LAST")):
            t.send(b"BDAT %d%s\r\n" % (len(part), last.encode()) + part)
            t.reply(250)
    equal(own(latest(h)), content)


def test_bdat_pipelined(h):
    with h.smtp() as t:
        t.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<alice@example.test>\r\nBDAT 4\r\nA: b"
               b"BDAT 4 LAST\r\n\r\n\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<bob@example.test>\r\nBDAT 0 LAST\r\n"
               b"QUIT\r\n")
        equal([t.reply()[0] for _ in range(8)], [250, 250, 250, 250, 250, 250, 250, 221])
    contains(latest(h), b"A: b\r\n\r\n")


def test_bdat_behind_failed_recipient(h):
    """The octets of the chunk are no commands."""
    with h.smtp() as t:
        chunk = b"MAIL FROM:<evil@example.org>\r\nQUIT\r\n"
        t.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<nobody@example.test>\r\nBDAT %d LAST\r\n" % len(chunk) + chunk +
               b"NOOP\r\n")
        equal([t.reply()[0] for _ in range(4)], [250, 550, 554, 250])
        t.silent()
        t.say("BDAT x", 501)  # a length that cannot be read: the session ends
        t.rest()


def test_data_amid_bdat(h):
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"])
        t.send(b"BDAT 3\r\nA:b")
        t.reply(250)
        t.say("DATA", 503)
        t.say("RCPT TO:<bob@example.test>", 503)
        t.say("RSET", 250)


def test_binarymime(h):
    content = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256))
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"], " BODY=BINARYMIME")
        t.say("DATA", 503, "5.5.1")
        t.send(b"BDAT %d LAST\r\n" % len(content) + content)
        t.reply(250)
        t.say("MAIL FROM:<a@example.org> BODY=9BIT", 501)


def test_8bit_as_it_came(h):
    content = mail("8bit", "\u00e4\u4f60\u597d\r\n".encode() + bytes([0xe4, 0xc4, 0xe3, 0xff]) + b"\r\n")
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org> BODY=8BITMIME", 250)
        t.say("RCPT TO:<alice@example.test>", 250)
        t.say("DATA", 354)
        t.send(content + b".\r\n")
        t.reply(250)
    equal(own(latest(h)), content)


def test_dsn_parameters(h):
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org> RET=HDRS ENVID=abc+2B1", 250)
        t.say("RCPT TO:<alice@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alice@example.test", 250)
        t.say("RCPT TO:<bob@example.test> NOTIFY=NEVER", 250)
        t.say("RCPT TO:<bob@example.test> NOTIFY=NEVER,DELAY", 501, "5.5.4")
        t.say("RCPT TO:<bob@example.test> NOTIFY=ALWAYS", 501)
        t.say("RSET", 250)
        t.say("MAIL FROM:<a@example.org> RET=ALL", 501)
        t.say("MAIL FROM:<a@example.org> FOO=1", 555, "5.5.4")


def test_smtputf8(h):
    h.cli("domain", "add", "b\u00fccher.example", "--json")
    h.cli("account", "add", "j\u00fcrgen@b\u00fccher.example", "--password-stdin", "--json", stdin="gehirnzelle\n")
    with h.smtp() as t:
        t.say("MAIL FROM:<\u4f60@example.org>", 553, "5.6.7")
        t.say("MAIL FROM:<\u4f60@example.org> SMTPUTF8", 250)
        t.say("RCPT TO:<j\u00fcrgen@b\u00fccher.example>", 250)
        t.say("DATA", 354)
        t.send("Subject: \u5b57\r\n\r\ntext\r\n.\r\n".encode())
        t.reply(250)
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("RCPT TO:<j\u00fcrgen@b\u00fccher.example>", 553)
    with h.imap("") as t:
        name = "j\u00fcrgen@b\u00fccher.example".encode()
        t.ok(b"LOGIN {%d+}\r\n%s gehirnzelle" % (len(name), name))
        t.ok("SELECT INBOX")
        contains(t.body(1), "Subject: \u5b57".encode())
        contains(t.body(1), b"with UTF8SMTP")


# ---- TLS ----

def test_starttls(h):
    with h.smtp() as t:
        t.say("STARTTLS now", 501)
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("STARTTLS", 503)
        t.say("RSET", 250)
        t.say("STARTTLS", 220)
        t.start_tls()
        check(t.sock.version() in ("TLSv1.2", "TLSv1.3"), t.sock.version())
        t.say("MAIL FROM:<a@example.org>", 503)  # what was said before is forgotten
        t.say("EHLO client.example.org", 250)
        t.say("STARTTLS", 503)
        t.message("a@example.org", ["alice@example.test"], mail("over tls"))
    contains(latest(h), b"over tls")


def test_injection_behind_starttls(h):
    for service in ("smtp", "submission"):
        with h.smtp(service) as t:
            t.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<alice@example.test>\r\n")
            got = t.rest()
            check(got.startswith(b"501 "), "injected commands:", got)
            equal(got.count(b"\n"), 1, "replies")


def test_old_tls_is_refused(h):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with h.smtp() as t:
        t.say("STARTTLS", 220)
        try:
            t.sock = context.wrap_socket(t.sock)
        except (ssl.SSLError, OSError):
            return
        raise Wrong(f"a handshake with {t.sock.version()}")


def test_garbage_as_handshake(h):
    with h.smtp() as t:
        t.say("STARTTLS", 220)
        t.send(b"EHLO again\r\n")
        t.rest()
    with h.talk("smtp") as t:  # and the service goes on
        contains(t.line(), "220")


# ---- logging in ----

def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_auth_plain_and_login(h):
    for service in ("submission", "submissions"):
        with h.smtp(service) as t:
            t.say("MAIL FROM:<alice@example.test>", 530, "5.7.0")
            t.say("AUTH PLAIN " + b64("\0alice\0" + h.users["alice"]), 235, "2.7.0")
            t.say("AUTH PLAIN " + b64("\0alice\0" + h.users["alice"]), 503)
            t.message("alice@example.test", ["bob@example.test"], mail("sent").replace(
                b"stranger@example.org", b"alice@example.test"))
        contains(latest(h, "bob"), b"with ESMTPSA" if service == "submissions" else b"with ESMTPA")
    with h.smtp("submissions") as t:
        t.say("AUTH LOGIN", 334)
        t.say(b64("alice@example.test"), 334)
        t.say(b64(h.users["alice"]), 235)
    with h.smtp("submissions") as t:
        t.say("AUTH PLAIN", 334)
        t.say(b64("\0alice\0" + h.users["alice"]), 235)


def test_auth_refused(h):
    with h.smtp("submissions") as t:
        t.say("AUTH PLAIN " + b64("\0alice\0wrong"), 535, "5.7.8")
        first = t.say("AUTH PLAIN " + b64("\0alice\0wrong again"), 535)
        equal(t.say("AUTH PLAIN " + b64("\0nobody\0wrong again"), 535), first, "unknown user and wrong password")
    with h.smtp("submissions") as t:
        t.say("AUTH PLAIN =", 501)
        t.say("AUTH PLAIN !!!", 501)
        t.say("AUTH GSSAPI", 504)
        t.say("AUTH PLAIN", 334)
        t.say("*", 501)
        t.say("AUTH PLAIN " + b64("bob\0alice\0" + h.users["alice"]))  # acting as somebody else
        t.say("MAIL FROM:<alice@example.test>")
    with h.smtp() as t:
        t.say("AUTH PLAIN " + b64("\0alice\0" + h.users["alice"]), 502)


def test_auth_pipelined(h):
    with h.smtp("submissions") as t:
        t.send(f"AUTH PLAIN {b64(chr(0) + 'alice' + chr(0) + h.users['alice'])}\r\nMAIL FROM:<alice@example.test>\r\n"
               "RCPT TO:<bob@example.test>\r\n")
        equal([t.reply()[0] for _ in range(3)], [235, 250, 250])


def test_no_password_in_clear(h):
    own_house = House(PROGRAM, cleartext=False)
    with own_house.smtp("submission") as t:
        _, lines = t.say("EHLO x", 250)
        check(not any(line.startswith("AUTH") for line in lines), "AUTH is offered without TLS")
        t.say("AUTH PLAIN " + b64("\0alice\0" + own_house.users["alice"]), 538, "5.7.11")
        t.say("MAIL FROM:<alice@example.test>", 530)
        t.say("STARTTLS", 220)
        t.start_tls()
        contains(t.say("EHLO x", 250)[1], "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN")
        t.say("AUTH PLAIN " + b64("\0alice\0" + own_house.users["alice"]), 235)
    with own_house.imap(None) as t:
        contains(t.greeting, "LOGINDISABLED")
        t.no('LOGIN alice "x"', "PRIVACYREQUIRED")
    with own_house.talk("pop3") as t:
        contains(t.line(), "+OK")
        t.put("USER alice")
        contains(t.line(), "-ERR")


def test_sender_must_belong(h):
    h.cli("alias", "add", "sales@example.test", "alice@example.test", "--json")
    with h.smtp("submissions") as t:
        equal(t.auth("alice", h.users["alice"])[0], 235)
        _, lines = t.say("MAIL FROM:<bob@example.test>", 550)
        contains(lines[0], "5.7.1")
        t.say("MAIL FROM:<alice@example.test>", 250)
        t.say("RSET", 250)
        t.say("MAIL FROM:<sales@example.test>", 250)
        t.say("RSET", 250)
        # the header's From
        before = count(h, "bob")
        t.envelope("alice@example.test", ["bob@example.test"])
        t.say("DATA", 354)
        t.send("From: Bob <bob@example.test>\r\nSubject: forged\r\n\r\nx\r\n.\r\n")
        _, lines = t.reply(550)
        contains(lines[0], "5.7.1")
        contains(lines[0], "bob@example.test")
        equal(count(h, "bob"), before, "messages of bob after the forged one")
        t.message("alice@example.test", ["bob@example.test"], "From: Sales <sales@example.test>\r\n\r\nx\r\n")


def test_remote_recipients_wait_in_the_queue(h):
    with h.smtp("submissions") as t:
        equal(t.auth("alice", h.users["alice"])[0], 235)
        t.message("alice@example.test", ["friend@elsewhere.example"], "From: alice@example.test\r\n\r\nx\r\n")


def submit(h, content):
    with h.smtp("submissions") as t:
        equal(t.auth("alice", h.users["alice"])[0], 235)
        queue_id = t.message("alice@example.test", ["bob@example.test"], content)
    return queue_id, latest(h, "bob")


def test_submitted_header_is_finished(h):
    kept = b"From: alice@example.test\r\nSubject: s\r\n"
    secret = b"Bcc: carol@example.test,\r\n dave@example.test\r\nResent-Bcc: erin@example.test\r\n"
    queue_id, message = submit(h, secret + kept + b"\r\nBcc: of the text\r\n")
    added = re.fullmatch(re.escape(kept) + rb"Date: [^\r]*[+-]\d{4}\r\nMessage-ID: <([0-9a-z]{26})@mail\.example\.test>"
                         rb"\r\n\r\nBcc: of the text\r\n", own(message))
    check(added, "the message is", message)
    equal(added.group(1).decode(), queue_id, "the left side of the Message-ID")
    check(message.startswith(b"Return-Path: <alice@example.test>\r\nReceived: by mail.example.test (Posthouse) with ESMTPSA "), message[:200])
    check(b"127.0.0.1" not in message and b"client.example.org" not in message, "the client is shown:", message)
    whole = b"Date: x\r\nMessage-ID: y\r\n" + kept + b"\r\ntext\r\n"
    equal(own(submit(h, whole)[1]), whole, "a message that lacks nothing")


def test_strangers_headers_stay(h):
    content = b"Bcc: carol@example.test\r\nSubject: s\r\n\r\ntext\r\n"
    with h.smtp() as t:
        t.message("a@example.org", ["alice@example.test"], content)
    equal(own(latest(h)), content, "through port 25")
    with h.lmtp() as t:
        t.message("a@example.org", ["alice@example.test"], content)
    equal(own(latest(h)), content, "through LMTP")


def test_client_is_shown_when_wished(h):
    own_house = House(PROGRAM, config="submission {\n\thide-client no\n}")
    message = submit(own_house, b"From: alice@example.test\r\n\r\nx\r\n")[1]
    contains(message, b">\r\nReceived: from client.example.org ([127.0.0.1])\r\n")


# ---- the end of data ----

# Section 3.3: forms that others take for the end. Each is sent behind "DATA\r\n...text"; where it does not end the
# message the true end follows. A form that holds a bare CR or LF makes the message refused, never passed on.
FORMS = {
    "LF . LF": (b"\n.\n", False), "LF . CRLF": (b"\n.\r\n", False), "CRLF . LF": (b"\r\n.\n", False),
    "CR . CR": (b"\r.\r", False), "CR . CRLF": (b"\r.\r\n", False), "CRLF . CR": (b"\r\n.\r", False),
    "LF . CR": (b"\n.\r", False), "CRLF . CR CRLF": (b"\r\n.\r\r\n", False), "CRLF NUL . CRLF": (b"\r\n\0.\r\n", False),
    "CR CRLF . CRLF": (b"\r\r\n.\r\n", True), "CRLF . CRLF": (b"\r\n.\r\n", True),
}


def end_of_data(h, service, name, split):
    form, ends = FORMS[name]
    flawed = name != "CRLF . CRLF"
    before = count(h)
    with (h.lmtp() if service == "lmtp" else h.smtp(service)) as t:
        sender = "a@example.org"
        if service == "submission":
            equal(t.auth("alice", h.users["alice"])[0], 235)
            sender = "alice@example.test"
        t.envelope(sender, ["alice@example.test"])
        t.say("DATA", 354)
        head = f"From: {sender}\r\nSubject: {name}\r\n\r\ntext".encode()
        smuggled = b"MAIL FROM:<smuggler@example.org>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
        pieces = [head + form] if not split else [head] + [bytes([c]) for c in form]
        for p in pieces:
            t.send(p)
            if split:
                time.sleep(0.002)
        if not ends:
            t.silent(0.15)
            t.send(smuggled + b"\r\n.\r\n")
        repaired = service != "smtp" and b"\0" not in form
        t.reply(250 if not flawed or repaired else 550)
        t.silent(0.05)
        t.say("NOOP", 250)
    taken = 0 if flawed and not repaired else 1
    equal(count(h), before + taken, "messages")
    if taken:
        message = latest(h)
        check(not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", message), "a bare line end or NUL was passed on:", message[-200:])


def test_end_of_data_on_the_way_in(h):
    for name in FORMS:
        for split in (False, True):
            try:
                end_of_data(h, "smtp", name, split)
            except Exception as e:
                raise Wrong(f"{name}, split {split}: {e}") from e


def test_end_of_data_from_local_programs(h):
    """Submission and LMTP: bare line ends are mended, yet never begin or end a line nor the message."""
    for service in ("submission", "lmtp"):
        for name in FORMS:
            try:
                end_of_data(h, service, name, False)
            except Exception as e:
                raise Wrong(f"{service}, {name}: {e}") from e


def test_end_of_data_on_the_way_out(h):
    """What BDAT brought with lone dots must not end a message for a POP3 client."""
    content = mail("dots", ".\r\n.QUIT\r\n..\r\nlast")
    with h.smtp() as t:
        t.envelope("a@example.org", ["bob@example.test"])
        t.send(b"BDAT %d LAST\r\n" % len(content) + content)
        t.reply(250)
    with h.talk("pop3") as t:
        t.line()
        for line in ("USER bob", "PASS " + h.users["bob"]):
            t.put(line)
            last = t.line()
            contains(last, "+OK")
        t.put(f"RETR {last.split()[1]}")
        contains(t.line(), "+OK")
        lines = []
        while True:
            line = t.line()
            if line == ".":
                break
            lines.append(line[1:] if line.startswith(".") else line)
        equal(lines[-4:], [".", ".QUIT", "..", "last"], "lines through POP3")
        t.put("NOOP")
        contains(t.line(), "+OK")


# ---- loops and limits ----

def test_loops_end(h):
    hop = "Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    with h.smtp() as t:
        t.message("a@example.org", ["alice@example.test"], hop * 99 + "Subject: far\r\n\r\nx\r\n")
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        t.send(hop * 101 + "Subject: loop\r\n\r\nx\r\n.\r\n")
        equal(enhanced(t.reply(554)), "5.4.6")
        t.message("a@example.org", ["alice@example.test"], "Subject: body\r\n\r\n" + hop * 200)


def test_too_many_errors(h):
    with h.smtp() as t:
        for _ in range(20):
            t.say("FOO", 500)
        t.put("FOO")
        t.reply(500)
        t.reply(421)
        t.ended()


def test_browsers_are_sent_away(h):
    with h.smtp(hello=None) as t:
        t.send("POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.example>\r\n")
        check(t.rest().startswith(b"421 "), "no 421")


def big_lines(size):
    line = b"0123456789" * 7 + b"\r\n"
    return line * (size // len(line)) + b"x" * (size % len(line))


def roles_pss(h):
    return pss_kib([p for p in h.all_pids() if p != h.pid])


def test_50_megabytes(h):
    h.send(body=mail("warm"))
    before = roles_pss(h)
    head = mail("big", "")
    content = head + big_lines(50000000 - len(head) - 2) + b"\r\n"
    equal(len(content), 50000000)
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"], f" SIZE={len(content)}")
        t.say("DATA", 354)
        t.sock.sendall(content)
        peak = roles_pss(h)
        t.send(b".\r\n")
        t.reply(250)
        peak = max(peak, roles_pss(h))
    check(peak < before + 24 * 1024, f"memory of all roles went from {before} to {peak} KiB")
    equal(own(latest(h)) == content, True, "the message as it was sent")
    with h.imap(select="INBOX") as t:
        n = t.count()
        equal(len(next(p for p in t.fetch(n, "BODY.PEEK[]<49999000.5000>")[n] if isinstance(p, bytes))) > 1000, True)
        t.ok(f"STORE {n} +FLAGS (\\Deleted)")
        t.ok("EXPUNGE")


def test_51_megabytes(h):
    h.send(body=mail("warm"))
    before, peak, kept = roles_pss(h), 0, count(h)
    chunk = big_lines(1000008)
    with h.smtp() as t:
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        for _ in range(51):
            t.sock.sendall(chunk)
        peak = roles_pss(h)
        t.send(b"\r\n.\r\n")
        equal(enhanced(t.reply(552)), "5.3.4")
        t.say("NOOP", 250)
    check(peak < before + 24 * 1024, f"memory of all roles went from {before} to {peak} KiB")
    equal(count(h), kept)


def test_silence_ends_a_session(h):
    own_house = House(PROGRAM, config="timeout {\n\tsmtp 1s\n}")
    with own_house.smtp() as t:
        t.reply(421)
        t.ended()
    with own_house.smtp() as t:  # inside DATA
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        t.send("Subject: never ends\r\n")
        t.reply(421)
        t.ended()
    with own_house.talk("smtp") as t:  # a command has to be there whole in that time
        t.line()
        with contextlib.suppress(OSError):
            for c in b"NOOP NOOP NOOP":
                t.sock.sendall(bytes([c]))
                time.sleep(0.2)
        contains(t.rest(), b"421 ")
    with own_house.smtp() as t:  # content may come slowly as long as it comes
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        for _ in range(6):
            t.send("slow\r\n")
            time.sleep(0.3)
        t.vanish()
    equal(count(own_house), 0)


def test_client_vanishes_amid_data(h):
    before = count(h)
    for how in ("vanish", "close"):
        t = h.smtp()
        t.envelope("a@example.org", ["alice@example.test"])
        t.say("DATA", 354)
        t.send(mail("half") + big_lines(300000))
        getattr(t, how)()
    t = h.smtp()
    t.envelope("a@example.org", ["alice@example.test"])
    t.send(b"BDAT 1000 LAST\r\nhalf")
    t.vanish()
    wait_until(lambda: all(r.get("connections", 0) == 0 for r in h.status()["roles"] if r["role"] == "frontend"),
               what="the end of the vanished connections")
    equal(count(h), before)


# ---- LMTP ----

def test_lmtp(h):
    with h.lmtp() as t:
        t.say("EHLO x", 500)
        a, b = count(h, "alice"), count(h, "bob")
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("RCPT TO:<alice@example.test>", 250)
        t.say("RCPT TO:<nobody@example.test>", 550)
        t.say("RCPT TO:<bob@example.test>", 250)
        t.say("DATA", 354)
        t.send(mail("by LMTP") + b".\r\n")
        for name in ("alice", "bob"):  # one reply a recipient, in order
            contains(t.reply(250)[1][0], f"<{name}@example.test>")
        t.silent(0.1)
        equal((count(h, "alice"), count(h, "bob")), (a + 1, b + 1))
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("DATA", 503)
        t.say("QUIT", 221)
    contains(latest(h, "bob"), b"with LMTP")


def test_lmtp_full_mailbox(h):
    """Recipients of one message with different ends."""
    h.cli("account", "add", "small@example.test", "--password-stdin", "--quota", "100KB", "--json", stdin="little-room\n")
    with h.lmtp() as t:
        big = mail("big", big_lines(90000))
        t.envelope("a@example.org", ["small@example.test"])
        t.say("DATA", 354)
        t.send(big + b".\r\n")
        t.reply(250)
        before = count(h)
        t.envelope("a@example.org", ["small@example.test", "alice@example.test"])
        t.say("DATA", 354)
        t.send(big + b".\r\n")
        equal([t.reply()[0], t.reply()[0]], [452, 250], "one full, one not")
        equal(count(h), before + 1)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
