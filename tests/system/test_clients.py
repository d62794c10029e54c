"""Clients that people use: curl, swaks, getmail, fetchmail, mbsync."""
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile

from harness import Skip, check, contains, equal, main, need

MESSAGE = b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: %s\r\n\r\nby a client\r\n"


def run(*args, stdin=None, codes=(0,), env=None):
    got = subprocess.run(args, input=stdin, capture_output=True, timeout=60, env=env)
    check(got.returncode in codes, f"{' '.join(args)}: exit status {got.returncode}:",
          (got.stderr + got.stdout)[-3000:].decode("utf-8", "replace"))
    return got.stdout


def curl(h, url, *args, user="alice", stdin=None, codes=(0,)):
    who = ("-u", f"{user}:{h.users[user]}") if user else ()
    return run(need("curl"), "-sS", "-k", *who, url, *args, stdin=stdin, codes=codes)


def newest(h, user):
    with h.imap(user, select="INBOX") as t:
        return t.body(t.count())


# ---- curl ----

def curl_send(h, service, scheme, subject, *more, user="alice"):
    sender = "alice@example.test" if user else "stranger@example.org"
    curl(h, f"{scheme}://127.0.0.1:{h.ports[service]}/client.example.org", "--mail-from", sender, "--mail-rcpt",
         "bob@example.test", "-T", "-", *more, user=user, stdin=MESSAGE % subject)
    contains(newest(h, "bob"), b"Subject: " + subject)


def test_curl_smtp(h):
    curl_send(h, "smtp", "smtp", b"curl smtp", user=None)
    curl_send(h, "smtp", "smtp", b"curl smtp with tls", "--ssl-reqd", user=None)
    curl_send(h, "submission", "smtp", b"curl submission", "--ssl-reqd")


def test_curl_smtps(h):
    curl_send(h, "submissions", "smtps", b"curl smtps")


def imap_talk(h, scheme, service):
    url = f"{scheme}://127.0.0.1:{h.ports[service]}"
    with h.imap(select="INBOX") as t:
        t.append(MESSAGE % b"curl imap")
        n = t.count()
    equal(curl(h, f"{url}/INBOX;MAILINDEX={n}"), MESSAGE % b"curl imap")
    contains(curl(h, f"{url}/INBOX;MAILINDEX={n};SECTION=HEADER.FIELDS%20(SUBJECT)"), b"Subject: curl imap")
    contains(curl(h, url), b'"/" "INBOX"')
    contains(curl(h, f"{url}/INBOX", "-X", "SEARCH SUBJECT curl"), str(n).encode())
    with tempfile.NamedTemporaryFile() as f:
        f.write(MESSAGE % b"curl appends")
        f.flush()
        curl(h, f"{url}/INBOX", "-T", f.name)
    contains(newest(h, "alice"), b"curl appends")


def test_curl_imap(h):
    imap_talk(h, "imap", "imap")


def test_curl_imaps(h):
    imap_talk(h, "imaps", "imaps")


def pop3_talk(h, scheme, service):
    url = f"{scheme}://127.0.0.1:{h.ports[service]}"
    h.clear()
    with h.imap() as t:
        t.append(MESSAGE % b"curl pop3")
    contains(curl(h, url + "/"), b"1 ")
    equal(curl(h, url + "/1"), MESSAGE % b"curl pop3")
    contains(curl(h, url + "/", "-X", "UIDL"), b"1 ")
    curl(h, url + "/1", "-X", "DELE", "-l")
    with h.imap(select="INBOX") as t:
        equal(t.count(), 0, "messages behind DELE")


def test_curl_pop3(h):
    pop3_talk(h, "pop3", "pop3")


def test_curl_pop3s(h):
    pop3_talk(h, "pop3s", "pop3s")



# ---- programs that fetch over POP3 ----

def some_mail(h, user="bob"):
    h.clear(user)
    with h.imap(user) as t:
        for i in range(5):
            t.append(MESSAGE % b"to fetch %d" % i + b".dot\r\n..\r\n")


def fetched(folder):
    return sorted(open(f"{folder}/new/{name}", "rb").read() for name in os.listdir(f"{folder}/new"))


def maildir(home):
    for name in ("cur", "new", "tmp"):
        os.makedirs(f"{home}/Mail/{name}")
    return f"{home}/Mail"


def getmail(h, home, kind, service, *more):
    user = ""
    if os.geteuid() == 0:  # it delivers nothing as root
        user = "user = nobody\n"
        os.chmod(home, 0o755)
        for name in ("", "/cur", "/new", "/tmp"):
            shutil.chown(f"{home}/Mail{name}", "nobody")
    with open(f"{home}/getmailrc", "w") as f:
        f.write(f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {h.ports[service]}\nusername = bob\n"
                f"password = {h.users['bob']}\n[destination]\ntype = Maildir\npath = {home}/Mail/\n{user}[options]\n"
                "read_all = false\ndelivered_to = false\nreceived = false\n" + "".join(m + "\n" for m in more))
    try:
        run(need("getmail"), f"--getmaildir={home}", f"--rcfile={home}/getmailrc", stdin=b"")
    except subprocess.TimeoutExpired:  # it forks first and listens for SIGCHLD afterwards
        raise Skip("getmail missed the end of its own child")


def test_getmail(h):
    for kind, service in (("SimplePOP3Retriever", "pop3"), ("SimplePOP3SSLRetriever", "pop3s"),
                          ("SimpleIMAPRetriever", "imap"), ("SimpleIMAPSSLRetriever", "imaps")):
        with tempfile.TemporaryDirectory() as home:
            folder = maildir(home)
            some_mail(h)
            getmail(h, home, kind, service)
            equal(len(fetched(folder)), 5, kind)
            contains(fetched(folder)[0].replace(b"\r\n", b"\n"), b"by a client\n.dot\n..\n")
            getmail(h, home, kind, service)  # UIDs tell what was had before
            equal(len(fetched(folder)), 5, f"{kind} again")
            getmail(h, home, kind, service, "delete = true")
            with h.imap("bob", select="INBOX") as t:
                equal(t.count(), 0, f"{kind}, deleted")


def fetchmail(h, home, protocol, service, *options, codes=(0,)):
    with open(f"{home}/rc", "w") as f:
        f.write(f"poll 127.0.0.1 protocol {protocol} port {h.ports[service]} uidl auth password\n"
                f"\tuser bob password \"{h.users['bob']}\" {' '.join(options)}\n"
                f"\tmda \"cat > {home}/Mail/new/$$\"\n")
    os.chmod(f"{home}/rc", 0o600)
    run(need("fetchmail"), "-f", f"{home}/rc", "-i", f"{home}/ids", "--pidfile", f"{home}/pid", "--nosyslog",
        codes=codes, env={**os.environ, "HOME": home, "FETCHMAILHOME": home})


def test_fetchmail(h):
    for protocol, service, *more in (("pop3", "pop3", "sslproto ''"), ("pop3", "pop3", "sslproto tls1.2+ no sslcertck"),
                                     ("pop3", "pop3s", "ssl no sslcertck")):
        with tempfile.TemporaryDirectory() as home:
            folder = maildir(home)
            some_mail(h)
            fetchmail(h, home, protocol, service, *more, "keep")
            equal(len(fetched(folder)), 5, f"{service} {more}")
            fetchmail(h, home, protocol, service, *more, "keep", codes=(1,))  # 1: nothing new
            fetchmail(h, home, protocol, service, *more, "nokeep", "fetchall")
            equal(len(fetched(folder)), 10, f"{service} {more}, all of them")
            with h.imap("bob", select="INBOX") as t:
                equal(t.count(), 0, f"{service}, deleted")

# ---- swaks ----

def swaks(h, port, subject, *more, codes=(0,)):
    return run(need("swaks"), "--server", "127.0.0.1", "--port", str(port), "--to", "bob@example.test", "--from",
               "alice@example.test", "--helo", "client.example.org", "--header", f"Subject: {subject}", "--hide-all",
               *more, codes=codes)


def test_swaks(h):
    secret = ("--auth-user", "alice", "--auth-password", h.users["alice"])
    ways = [("smtp", ()), ("smtp", ("--tls",)), ("submission", ("--tls", "--auth", "PLAIN", *secret)),
            ("submission", ("--tls", "--auth", "LOGIN", *secret)), ("submissions", ("--tlsc", "--auth", "PLAIN", *secret)),
            ("smtp", ("--pipeline",))]
    for i, (service, more) in enumerate(ways):
        swaks(h, h.ports[service], f"swaks {i}", *more)
        contains(newest(h, "bob"), f"Subject: swaks {i}".encode())
    swaks(h, h.ports["submission"], "no", "--tls", "--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "no",
          codes=(28,))
    swaks(h, h.ports["smtp"], "no", "--to", "nobody@example.test", codes=(24,))


def test_swaks_lmtp(h):
    run(need("swaks"), "--protocol", "LMTP", "--socket", os.path.join(h.dir, "run", "lmtp.sock"), "--to",
        "bob@example.test", "--from", "a@example.org", "--header", "Subject: swaks lmtp", "--hide-all")
    contains(newest(h, "bob"), b"Subject: swaks lmtp")


# ---- mbsync ----

def mbsync_config(h, home, tls):
    path = os.path.join(home, "mbsyncrc")
    tls_lines = "SSLType None"
    if tls:
        with open(os.path.join(home, "cert.pem"), "w") as f:
            f.write(ssl.get_server_certificate(("127.0.0.1", h.ports["imaps"])))
        tls_lines = f"SSLType IMAPS\nSystemCertificates no\nCertificateFile {home}/cert.pem"
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
        f.write(f"""IMAPAccount post
Host 127.0.0.1
Port {h.ports['imaps' if tls else 'imap']}
User alice
Pass "{h.users['alice']}"
{tls_lines}
PipelineDepth 50

IMAPStore far
Account post

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
""")
    return path


def local_messages(home, mailbox="INBOX"):
    found = {}
    for sub in ("cur", "new"):
        folder = os.path.join(home, "mail", mailbox, sub)
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, name), "rb") as f:
                found[name] = f.read()
    return found


def remote_bodies(h, mailbox="INBOX"):
    with h.imap(select=mailbox) as t:
        if not t.count():
            return []
        return [next(p for p in r if isinstance(p, bytes)) for r in t.fetch("1:*", "BODY.PEEK[]").values()]


def without_mark(body):
    """mbsync marks what it uploads with a field of its own."""
    return re.sub(rb"X-TUID: [^\n]*\n", b"", body.replace(b"\r\n", b"\n"))


def some_messages(n):
    texts = ["plain text", "\u4f60\u597d\uff0c\u4e16\u754c".encode("gb18030"), "gr\u00fc\u00df".encode("latin-1"),
             "\U00020000 \u20ac".encode("gb18030"), b"\xff\xfe raw 8 bit \x80", "text " * 20000]
    for i in range(n):
        text = texts[i % len(texts)]
        text = text.encode() if isinstance(text, str) else text
        charset = ("us-ascii", "gb18030", "iso-8859-1", "gb18030", "x-unknown", "us-ascii")[i % 6]
        yield (b"From: a@example.org\r\nTo: alice@example.test\r\nSubject: %b %d\r\nMIME-Version: 1.0\r\n"
               b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%b\r\n" %
               ("\u4f60\u597d".encode("gb18030"), i, charset.encode(), text))


def test_mbsync_both_ways(h):
    program = need("mbsync")
    home = tempfile.mkdtemp(prefix="posthouse-mbsync-")
    try:
        mbsync_session(h, program, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def mbsync_session(h, program, home):
    os.makedirs(os.path.join(home, "mail"))
    def sync(tls=False):
        config = mbsync_config(h, home, tls)
        run(program, "-q", "-c", config, "-a", env={**os.environ, "HOME": home})

    h.clear()
    sent = list(some_messages(300))
    with h.imap() as t:
        for m in sent:
            t.append(m, flags="(\\Seen)" if len(m) % 2 else "")
    sync()
    got = sorted(without_mark(m) for m in local_messages(home).values())
    equal(got == sorted(m.replace(b"\r\n", b"\n") for m in sent), True, "messages in the maildir as they were sent")
    # up: new messages, a flag, a deletion, a folder
    ours = [m.replace(b"Subject: ", b"Subject: from here ").replace(b"\r\n", b"\n") for m in list(some_messages(50))]
    for i, m in enumerate(ours):
        with open(os.path.join(home, "mail", "INBOX", "new", f"{i}.here"), "wb") as f:
            f.write(m)
    names = sorted(n for n in local_messages(home) if not n.endswith(".here"))
    cur = os.path.join(home, "mail", "INBOX", "cur")
    victims = [n for n in names if os.path.exists(os.path.join(cur, n))][:10]
    for n in victims:
        os.unlink(os.path.join(cur, n))
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(home, "mail", "From here", sub))
    with open(os.path.join(home, "mail", "From here", "new", "1.here"), "wb") as f:
        f.write(ours[0])
    sync(tls=True)
    sync()
    bodies = remote_bodies(h)
    equal(len(bodies), 340, "messages in the INBOX")
    have = {without_mark(b) for b in bodies}
    check(all(without_mark(m) in have for m in ours), "an uploaded message is not as it was")
    equal([without_mark(b) for b in remote_bodies(h, '"From here"')], [without_mark(ours[0])])
    # down: what goes at the server goes here
    with h.imap(select="INBOX") as t:
        t.ok("STORE 1:100 +FLAGS.SILENT (\\Deleted)")
        t.ok("EXPUNGE")
    sync()
    equal(len(local_messages(home)), 240, "messages in the maildir at the end")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
