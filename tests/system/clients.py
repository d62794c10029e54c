"""What the tests of real clients stand on: programs run with a home of their own, a tap that writes down what was said,
a terminal to type into, letters of many kinds, and a certificate that clients take.

The dialogues are kept in the build folder under meson-logs/clients (or $POSTHOUSE_CLIENT_LOGS), a file a client.
"""
import atexit
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import Talk, Wrong, check, need

FOLDER = "\u5de5\u4f5c"  # work
INNER = "\u5de5\u4f5c/\u9879\u76ee \u4e00"  # work, project one


def logs():
    folder = os.environ.get("POSTHOUSE_CLIENT_LOGS") or os.path.join(os.path.dirname(sys.argv[1]), "meson-logs", "clients")
    os.makedirs(folder, exist_ok=True)
    return folder


def log_path(name):
    path = os.path.join(logs(), name + ".log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return path


def utf7(name):
    """A mailbox's name as IMAP4rev1 wants it (RFC 3501 5.1.3)."""
    out, run = [], []

    def flush():
        if run:
            coded = base64.b64encode("".join(run).encode("utf-16-be")).rstrip(b"=").replace(b"/", b",").decode()
            out.append(f"&{coded}-")
            run.clear()

    for c in name:
        if " " <= c <= "~":
            flush()
            out.append("&-" if c == "&" else c)
        else:
            run.append(c)
    flush()
    return "".join(out)


@contextlib.contextmanager
def home():
    """A folder for one client's settings and mail."""
    folder = tempfile.mkdtemp(prefix="posthouse-client-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
        f.write(text)
    return path


def environment(folder, **more):
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "XDG_"))}
    return {**plain, "HOME": folder, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run(*args, folder=None, stdin=None, codes=(0,), seconds=60, log=None, **more):
    """Runs a client; what it printed is kept as `log`."""
    need(args[0])
    try:
        got = subprocess.run(args, input=stdin, capture_output=True, timeout=seconds, cwd=folder,
                             env=environment(folder or "/nonexistent", **more))
    except subprocess.TimeoutExpired as e:
        raise Wrong(f"{' '.join(args)}: not done within {seconds} s:", str((e.stderr or b"")[-3000:] + (e.stdout or b"")[-3000:]))
    if log:
        with open(log_path(log), "wb") as f:
            f.write(got.stdout + got.stderr)
    check(got.returncode in codes, f"{' '.join(args)}: exit status {got.returncode}:",
          (got.stdout + got.stderr)[-4000:].decode("utf-8", "replace"))
    return got.stdout


# ---- a certificate that clients take ----

class Certificate:
    """For localhost and 127.0.0.1, signed by itself."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="posthouse-cert-")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.path, self.key = os.path.join(self.folder, "cert.pem"), os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.key, "-out", self.path], check=True, capture_output=True)
        os.chmod(self.key, 0o644)

    def config(self):
        return f"tls {{\n\tcertificate {self.path}\n\tkey {self.key}\n}}"


# ---- the tap ----

class Tap:
    """Stands between a client and a port without TLS and writes down what they say."""

    def __init__(self, h, service, name):
        self.to = h.ports[service]
        self.file = open(log_path(name), "wb")
        self.mutex = threading.Lock()
        self.count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            self.count += 1
            self.open += [client, server]
            for a, b, who in ((client, server, b"C"), (server, client, b"S")):
                threading.Thread(target=self.pass_on, args=(a, b, b"%d %b: " % (self.count, who)), daemon=True).start()

    def pass_on(self, a, b, who):
        line = b""
        with contextlib.suppress(OSError, ValueError):
            while data := a.recv(65536):
                b.sendall(data)
                *lines, line = (line + data).split(b"\n")
                with self.mutex:
                    for text in lines:
                        self.file.write(who + text[:400].rstrip(b"\r") + b"\n")
                    self.file.flush()
            b.shutdown(socket.SHUT_WR)

    def said(self):
        """All that was said so far. Lines of data are in it, too."""
        with self.mutex, open(self.file.name, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def complaints(self):
        """Answers that no client of good manners should get: BAD."""
        return [t for t in self.said().split("\n") if " S: " in t and t.split(" S: ", 1)[1].split(" ")[1:2] == ["BAD"]]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.listener.close()
        for s in self.open:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
        Talk.transcript.append(f"what was said is in {self.file.name}")
        wrong = self.complaints()
        with self.mutex:
            self.file.close()
        if kind is None:
            check(not wrong, "a client was answered BAD:", "\n".join(wrong[:10]))


# ---- a terminal ----

class Screen:
    """A program in tmux; every screen that was waited for is in the log."""

    def __init__(self, folder, name, *words, width=110, height=36, **more):
        need("tmux")
        need(words[0])
        self.name = name
        self.server = f"posthouse-{os.getpid()}-{name}"
        self.env = environment(folder, TERM="screen-256color", **more)
        self.file = open(log_path(name + "-screens"), "w", encoding="utf-8")
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", "-x", str(width), "-y", str(height), *words)
        self.tmux("set-option", "-g", "escape-time", "0")

    def tmux(self, *words, codes=(0,)):
        got = subprocess.run(["tmux", "-L", self.server, *words], env=self.env, capture_output=True, timeout=20)
        if got.returncode not in codes:
            raise Wrong(f"{self.name}: tmux {words[0]}: {got.stderr.decode()}")
        return got.stdout.decode("utf-8", "replace")

    def see(self):
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys):
        """Names of keys as tmux knows them, or text after a blank."""
        for k in keys:
            if k.startswith(" "):
                self.tmux("send-keys", "-l", k[1:])
            else:
                self.tmux("send-keys", k)

    def wait(self, *texts, gone=(), seconds=15):
        """Until all of the texts stand on the screen and none of `gone`; the screen."""
        until = time.monotonic() + seconds
        while True:
            screen = self.see()
            if all(t in screen for t in texts) and not any(t in screen for t in gone):
                self.file.write(f"--- {texts}\n{screen}\n")
                self.file.flush()
                return screen
            if time.monotonic() > until:
                missing = [t for t in texts if t not in screen] or gone
                raise Wrong(f"{self.name}: {missing} within {seconds} s; the screen:\n{screen}")
            time.sleep(0.05)

    def ended(self, seconds=15):
        until = time.monotonic() + seconds
        while self.tmux("list-sessions", codes=(0, 1)):
            if time.monotonic() > until:
                raise Wrong(f"{self.name}: it does not end; the screen:\n{self.see()}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tmux("kill-server", codes=(0, 1))
        self.file.close()


# ---- letters ----

def word(text, charset, coding="B"):
    """An encoded word (RFC 2047)."""
    raw = text.encode(charset)
    coded = base64.b64encode(raw).decode() if coding == "B" else "".join(f"={b:02X}" for b in raw)
    return f"=?{charset}?{coding}?{coded}?="


def letter(subject, text="a few words\r\n", sender="li@example.org", charset="utf-8", coding="B", number=0, answers=None,
           day=1, more=""):
    """A letter as bytes; its Message-ID is made of `number`, and it answers the one of number `answers`."""
    head = [f"From: {word(sender.split('@')[0], charset)} <{sender}>" if not sender.isascii() else f"From: <{sender}>",
            "To: alice@example.test",
            f"Subject: {subject if subject.isascii() else word(subject, charset, coding)}",
            f"Date: {day} Nov 2026 10:{number % 60:02d}:00 +0800", f"Message-ID: <letter-{number}@example.org>"]
    if answers is not None:
        head += [f"In-Reply-To: <letter-{answers}@example.org>", f"References: <letter-{answers}@example.org>"]
    head += ["MIME-Version: 1.0", f"Content-Type: text/plain; charset={charset}", "Content-Transfer-Encoding: 8bit"]
    return ("\r\n".join(head) + "\r\n" + more + "\r\n").encode() + text.encode(charset)


SUBJECTS = ("\u5b63\u5ea6\u62a5\u544a", "\u4f1a\u8bae\u5b89\u6392", "Gr\u00fc\u00dfe aus K\u00f6ln", "plain words",
            "\u7e41\u9ad4\u4e2d\u6587\u4fe1\u4ef6", "\u65e5\u672c\u8a9e\u306e\u624b\u7d19")
CHARSETS = ("utf-8", "gb18030", "iso-8859-1", "us-ascii", "big5", "iso-2022-jp")


def letters():
    """Six letters in six charsets, and two answers to the first."""
    texts = ("\u4f60\u597d\uff0c\u4e16\u754c", "\u4e0b\u5348\u4e09\u70b9\u5f00\u4f1a", "sch\u00f6ne Gr\u00fc\u00dfe",
             "plain text", "\u60a8\u597d", "\u3053\u3093\u306b\u3061\u306f")
    for i, (subject, charset, text) in enumerate(zip(SUBJECTS, CHARSETS, texts)):
        yield letter(subject, text + "\r\n", charset=charset, number=i, coding="Q" if i == 2 else "B", day=i + 1)
    yield letter("Re: " + SUBJECTS[0], "\u6536\u5230\r\n", number=6, answers=0, day=7)
    yield letter("Re: Re: " + SUBJECTS[0], "\u8c22\u8c22\r\n", charset="gb18030", number=7, answers=6, day=8)


def fill(h, user="alice", mailbox="INBOX", mail=None):
    """Empties a mailbox and puts letters in."""
    mail = list(letters() if mail is None else mail)
    with h.imap(user) as t:
        if mailbox != "INBOX":
            t.command(f'CREATE "{utf7(mailbox)}"')
        t.ok(f'SELECT "{utf7(mailbox)}"')
        t.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)", also=("NO", "BAD"))
        t.ok("EXPUNGE")
        for m in mail:
            t.append(m, f'"{utf7(mailbox)}"')
    return mail


def bodies(h, mailbox="INBOX", user="alice"):
    """All messages of a mailbox, in its order."""
    with h.imap(user, select=f'"{utf7(mailbox)}"') as t:
        if not t.count():
            return []
        return [next(p for p in r if isinstance(p, bytes)) for r in t.fetch("1:*", "BODY.PEEK[]").values()]


def drop(h, *mailboxes, user="alice"):
    with h.imap(user) as t:
        for m in mailboxes:
            t.command(f'DELETE "{utf7(m)}"')
            t.command(f'UNSUBSCRIBE "{utf7(m)}"')
