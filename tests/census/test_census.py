"""How deep the stacks of fibers go: a post house that measures them, and what is known or feared to go deepest."""
import base64
import contextlib
import os
import signal
import ssl
import subprocess
import sys
import threading

from harness import House, Talk, check, main, need, wait_until

PROGRAM = ""
STACK = 65536  # LIMIT_FIBER_STACK
MOST = STACK * 3 // 4
DEEPEST = {}  # (role, kind): bytes

# What must have been seen, or the test has not looked: the kinds that speak with strangers or go through libraries.
WANTED = {
    "supervisor": ("reload",),
    "frontend": ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "lmtp"),
    "backend": ("imap", "imaps", "pop3", "pop3s", "deliver", "recipient", "control", "session"),
    "auth": ("login", "sign", "ticket", "secret_set"),
}


def gather(h):
    """Sessions in the backend end a moment after their clients; the last look is the deepest."""
    h.cli("status", "--json", codes=(0, 1))
    status = h.status()
    for role in [{"role": "supervisor", **status}] + status["roles"]:
        for s in role["stacks"]:
            at = role["role"], s["kind"]
            DEEPEST[at] = max(DEEPEST.get(at, 0), s["deepest"])


def key(folder, name, *algorithm):
    need("openssl")
    paths = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=mail.example.test", "-out", paths[0],
                    "-keyout", paths[1], *algorithm], check=True, capture_output=True)
    return paths


def handshakes(h):
    """Both versions, full and resumed, with the groups that differ, on a TLS port and by STARTTLS."""
    for version, curve in ((ssl.TLSVersion.TLSv1_2, None), (ssl.TLSVersion.TLSv1_3, None),
                           (ssl.TLSVersion.TLSv1_3, "prime256v1"), (ssl.TLSVersion.TLSv1_3, "secp384r1")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        if curve:
            context.set_ecdh_curve(curve)
        session = None
        for _ in range(2):
            with Talk(("127.0.0.1", h.ports["imaps"]), name="tls") as t:
                t.sock = context.wrap_socket(t.sock, session=session)
                t.line()
                t.put("a LOGOUT")
                t.rest()
                session = t.sock.session
    for service in ("submissions", "pop3s"):
        with h.talk(service) as t:
            t.line()
            t.put("QUIT")
            t.rest()
    with h.smtp() as t:
        t.say("STARTTLS", 220)
        t.start_tls()
        t.say("EHLO again.example.org", 250)


def nest(depth, kind):
    """One message part in the other."""
    if kind == "multipart":
        head = "".join(f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n" for i in range(depth))
        return head + "Content-Type: text/plain\r\n\r\ninnermost\r\n" + "".join(f"--b{i}--\r\n" for i in range(depth)[::-1])
    return "Content-Type: message/rfc822\r\n\r\n" * depth + "Subject: innermost\r\n\r\nx\r\n"


def hostile_messages():
    word = "=?utf-8?B?" + base64.b64encode("Grüße ".encode() * 6).decode() + "?= "
    yield "Subject: deep\r\nMIME-Version: 1.0\r\n" + nest(200, "multipart")
    yield "Subject: deep letters\r\nMIME-Version: 1.0\r\n" + nest(200, "message")
    yield "Subject: wide\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + \
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n" * 1500 + "--b--\r\n"
    yield "Subject: " + "\r\n ".join(word for _ in range(400)) + "\r\n\r\nx\r\n"
    yield "To: " + ",\r\n ".join(f"{word}<u{i}@xn--bcher-kva{i}.example>" for i in range(1500)) + "\r\n\r\nx\r\n"
    yield "To: " + "(" * 500 + ")" * 500 + " group: " * 50 + "a@b.example;\r\n\r\nx\r\n"
    yield "Content-Type: text/plain" + "".join(f";\r\n p*{i}*=utf-8''%c3%bc{'a' * 60}" for i in range(300)) + "\r\n\r\nx\r\n"
    yield "Subject: page\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + "<div><b>" * 5000 + "text &amp; more" + \
        "</b></div>" * 5000 + "\r\n"
    for charset in ("iso-2022-jp", "gb18030", "big5", "euc-kr", "koi8-r", "shift_jis", "utf-7", "utf-16", "hz-gb-2312"):
        with contextlib.suppress(LookupError, UnicodeError):
            text = {"koi8-r": "привет, мир", "euc-kr": "안녕하세요"}.get(charset, "日本語" if "jp" in charset or "jis" in
                                                                       charset else "中文")
            body = base64.encodebytes(text.encode(charset) * 50).decode().replace("\n", "\r\n")
            yield f"Subject: =?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?=\r\n" \
                  f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}"


def letters(h):
    """In through every door."""
    for m in hostile_messages():
        h.send("alice", m)
    with h.lmtp() as t:
        t.message("a@example.org", ["bob@example.test"], next(hostile_messages()))
    for service in ("submission", "submissions"):
        with h.smtp(service) as t:
            t.auth("alice", h.users["alice"])
            t.message("alice@example.test", ["bob@example.test"], "Subject: sent\r\n\r\nx\r\n")
    with h.smtp() as t:
        t.put("MAIL FROM:<jürgen@bücher.example> SMTPUTF8")
        t.reply()
        t.put("RCPT TO:<alice@пример.испытание>")
        t.reply()
        t.say("RSET", 250)
        for line in ("VRFY " + "x" * 400, "MAIL FROM:<" + "a" * 200 + "@" + "b." * 120 + "c>", "AUTH PLAIN ====", "\x80\xff"):
            t.put(line.encode("latin-1"))
            t.reply()


def reading(h):
    with h.imap(select="INBOX") as t:
        n = t.count()
        check(n >= 10, f"only {n} messages came in")
        t.ok("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE INTERNALDATE)")
        for items in ("BODY.PEEK[" + ".".join(["1"] * 60) + "]", "BODY.PEEK[HEADER.FIELDS.NOT (TO CC)]", "BODY.PEEK[TEXT]<3.5>",
                      "BINARY.PEEK[1]", "BINARY.SIZE[1]", "PREVIEW", "BODY.PEEK[1.MIME]"):
            t.command(f"FETCH 1:* ({items})")
        for search in ('CHARSET UTF-8 SUBJECT "Grüße"', 'CHARSET UTF-8 TEXT "привет"', 'CHARSET UTF-8 BODY "日本語"',
                       'TEXT "nothing of the kind"', 'OR ' * 40 + 'SEEN ' * 41, "NOT " * 80 + "SEEN", "(" * 60 + "ALL" + ")" * 60,
                       'HEADER Content-Type multipart SENTSINCE 1-Jan-2020 LARGER 10'):
            t.command(f"UID SEARCH {search}")
        t.command("SEARCH CHARSET KOI8-R SUBJECT x")
        t.command("SEARCH RETURN (SAVE COUNT MIN MAX) ALL")
        t.ok("CREATE " + "/".join(f"level{i}" for i in range(20)))
        t.ok("CREATE Entw&APw-rfe")
        for pattern in ("*", "%", "*%*%*%*%*%*", "level0/%/%"):
            t.ok(f'LIST "" "{pattern}"')
        t.command('LIST (SUBSCRIBED) "" "*" RETURN (CHILDREN STATUS (MESSAGES UIDNEXT SIZE))')
        t.ok("RENAME level0 moved")
        t.ok("COPY 1:* moved")
        t.ok("STORE 1:* +FLAGS (\\Flagged $one two)")
        t.ok("MOVE 1:2 moved")
        t.ok("EXPUNGE")
        t.append(next(hostile_messages()))
        t.ok("DELETE Entw&APw-rfe")
    with h.imap(service="imaps", select="INBOX") as t:
        t.ok("FETCH 1:* (BODYSTRUCTURE BODY.PEEK[])")
        t.logout()
    for service in ("pop3", "pop3s"):
        with h.talk(service) as t:
            t.line()
            for line in ("USER alice", f"PASS {h.users['alice']}", "STAT", "TOP 1 5", "RETR 1", "QUIT"):
                t.put(line)
                said = t.line()
                while line[:4] in ("TOP ", "RETR") and said != ".":
                    said = t.line()


def wrong_secrets(h):
    for user, secret in (("alice", "wrong"), ("nobody", "wrong"), ("alice", "x" * 900), ("ü" * 100, "ü" * 100)):
        with h.smtp("submission") as t:
            t.auth(user, secret)


def commands(h):
    h.cli("account", "add", "carol@example.test", stdin="a long enough secret\n", codes=(0, 1, 2, 64, 65))
    for words in (("account", "list"), ("domain", "list"), ("config", "check"), ("config", "show"), ("status", "--json")):
        h.cli_run(*words)
    with open(h.config_path, "a") as f:
        f.write("limits {\n\thops 90\n}\ndomain pinned.example {\n}\n")
    h.signal(signal.SIGHUP)
    wait_until(lambda: h.status()["generation"] > 1, what="the reload")


def test_traffic_with_an_ec_key(_):
    h = House(PROGRAM)
    handshakes(h)
    letters(h)
    reading(h)
    wrong_secrets(h)
    commands(h)
    gather(h)


def test_handshakes_with_other_keys(_):
    for name, algorithm in (("rsa2048", ("-newkey", "rsa:2048")), ("rsa4096", ("-newkey", "rsa:4096")),
                            ("p384", ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"))):
        h = House(PROGRAM, start=False)
        certificate, private = key(h.dir, name, *algorithm)
        h.write_config(f"tls {{\n\tcertificate {certificate}\n\tkey {private}\n}}")
        h.start()
        handshakes(h)
        several = [threading.Thread(target=handshakes, args=(h,)) for _ in range(2)]
        for t in several:
            t.start()
        for t in several:
            t.join()
        gather(h)


def test_none_is_deep(_):
    """Reads what the tests before have gathered."""
    for (role, kind), deepest in sorted(DEEPEST.items(), key=lambda item: -item[1]):
        print(f"  {role:11} {kind:18} {deepest:6} bytes, {100 * deepest // STACK} % of a stack")
    for role, kinds in WANTED.items():
        for kind in kinds:
            check((role, kind) in DEEPEST, f"{role} has no fiber {kind} in its census")
    deep = {at: n for at, n in DEEPEST.items() if n > MOST}
    check(not deep, f"more than {MOST} of {STACK} bytes of stack in use: {deep}")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], own_houses=True))
