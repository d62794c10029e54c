"""Clients with windows and in a browser: Roundcube, a webmail, in a headless chromium; Claws Mail under Xvfb.

Their pictures are kept beside the logs of the other clients.
"""
import contextlib
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import time

from browser import Browser
from clients import (FOLDER, INNER, SUBJECTS, Certificate, drop, environment, fill, home, letter, log_path, logs, utf7,
                     write)
from harness import Skip, check, main, need, wait_until

certificate = Certificate()
PROGRESS = "\u9879\u76ee\u8fdb\u5ea6"  # progress of the project
MEETING = "\u4e0b\u5348\u4e09\u70b9\u5f00\u4f1a"  # the text of letter 1, which is GB18030


def picture_path(name):
    return os.path.join(logs(), name + ".png")


def flags(h, number, mailbox="INBOX"):
    """The flags of letter N, or None when it is not there."""
    with h.imap(select=f'"{utf7(mailbox)}"') as t:
        found = t.ok(f'SEARCH HEADER Message-ID "letter-{number}@"')[0][0].split()[2:]
        return str(t.fetch(found[0], "FLAGS")) if found else None


def furnish(h):
    """Alice's INBOX and a folder below a folder, both subscribed, with Chinese names; all else is empty."""
    fill(h)
    for mailbox in ("Sent", "Trash", "Drafts"):
        h.clear("alice", mailbox)
    h.clear("bob")
    fill(h, mailbox=INNER, mail=[letter(PROGRESS, number=40)])
    with h.imap() as t:
        for mailbox in (FOLDER, INNER):
            t.ok(f'SUBSCRIBE "{utf7(mailbox)}"')


def arrived(h, subject):
    """Whether bob has it, and alice a copy in Sent."""
    has = {}
    for user, mailbox in (("bob", "INBOX"), ("alice", "Sent")):
        with h.imap(user, select=mailbox) as t:
            tag = t.start(f"SEARCH CHARSET UTF-8 SUBJECT {{{len(subject.encode())}+}}\r\n{subject}")
            has[user] = t.finish(tag)[1][0][0].split()[2:]
    return has["bob"] and has["alice"]


# ---- Roundcube ----

ROUNDCUBE = "/var/lib/roundcube"  # where Debian puts it


@contextlib.contextmanager
def roundcube(h, folder):
    """PHP's own web server with Debian's Roundcube and settings of our own; its address."""
    if not os.path.exists(f"{ROUNDCUBE}/public_html/index.php") or not os.path.exists("/usr/share/roundcube/SQL"):
        raise Skip("roundcube-core is not installed")
    need("php")
    if b"pdo_sqlite" not in subprocess.run(["php", "-m"], capture_output=True).stdout:
        raise Skip("php-sqlite3 is not installed")
    for name in ("config", "logs", "temp"):
        os.makedirs(f"{folder}/{name}")
    for name in ("defaults.inc.php", "mimetypes.php"):
        os.symlink(f"/etc/roundcube/{name}", f"{folder}/config/{name}")
    write(f"{folder}/config/config.inc.php", f"""<?php
$tls = ['ssl' => ['cafile' => '{certificate.path}', 'verify_peer' => true]];
$config = [
	'db_dsnw' => 'sqlite:///{folder}/db?mode=0600', 'log_dir' => '{folder}/logs', 'temp_dir' => '{folder}/temp',
	'imap_host' => 'ssl://localhost:{h.ports['imaps']}', 'imap_conn_options' => $tls, 'imap_debug' => true,
	'smtp_host' => 'tls://localhost:{h.ports['submission']}', 'smtp_conn_options' => $tls, 'smtp_debug' => true,
	'smtp_user' => '%u', 'smtp_pass' => '%p', 'mail_domain' => 'example.test', 'language' => 'zh_CN',
	'des_key' => 'twenty-four-characters-k', 'plugins' => [], 'skin' => 'elastic', 'enable_spellcheck' => false,
];
""")
    with contextlib.closing(sqlite3.connect(f"{folder}/db")) as db, open("/usr/share/roundcube/SQL/sqlite.initial.sql") as f:
        db.executescript(f.read())
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with open(log_path("roundcube-php"), "wb") as log:
        server = subprocess.Popen(["php", "-S", f"127.0.0.1:{port}", "-t", f"{ROUNDCUBE}/public_html"], stdout=log, stderr=log,
                                  stdin=subprocess.DEVNULL, env=environment(folder, ROUNDCUBE_CONFIG_DIR=f"{folder}/config"))
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, what="PHP's server")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(10)
        for name in ("imap", "smtp", "errors"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{folder}/logs/{name}.log", log_path(f"roundcube-{name}"))


def listed(b, *subjects, what):
    """Waits until the list of messages shows these, in this order."""
    b.wait(f"""JSON.stringify([...document.querySelectorAll("#messagelist tbody tr:not([style*=none]) td.subject a")]
        .map(e => e.innerText.trim())) == JSON.stringify({json.dumps(subjects)})""", what)


def row(b, subject):
    """A selector of the message of that subject."""
    found = b.wait(f"""(() => {{
        const e = [...document.querySelectorAll("#messagelist tbody tr")].find(
            r => r.querySelector("td.subject a").innerText.trim() == {json.dumps(subject)});
        return e ? e.id : null;
    }})()""", f"a message {subject}")
    return f"#{found} "


def opened(b, text):
    """Waits until the letter with that text is shown beside the list."""
    b.wait(f"""document.querySelector("#messagecontframe").contentDocument.querySelector("#messagebody").innerText
        .includes({json.dumps(text)})""", f"a letter with the text {text}")


def roundcube_reads(h, b):
    names = ("Re: Re: " + SUBJECTS[0], "Re: " + SUBJECTS[0], *reversed(SUBJECTS))
    listed(b, *names, what="the letters of INBOX")
    b.click(row(b, SUBJECTS[1]) + "td.subject a")
    opened(b, MEETING)
    wait_until(lambda: "\\Seen" in flags(h, 1), what="\\Seen")
    b.picture(picture_path("roundcube-letter"))
    b.click(row(b, SUBJECTS[4]) + ".flags .flag")
    wait_until(lambda: "\\Flagged" in flags(h, 4), what="\\Flagged")
    b.click("#mailsearchform")
    b.type(SUBJECTS[0])
    b.key("Enter", 13)
    listed(b, *names[:2], SUBJECTS[0], what="what the search finds")
    b.picture(picture_path("roundcube-search"))
    b.click(f"""#mailboxlist a[rel="{utf7(INNER)}"]""")
    listed(b, PROGRESS, what="the letter of a folder with a Chinese name")
    b.picture(picture_path("roundcube-folder"))


def roundcube_writes(h, b):
    b.click("""#mailboxlist a[rel="INBOX"]""")
    b.click(row(b, "plain words") + "td.subject a")
    opened(b, "plain text")
    b.click("#toolbar-menu a.delete:not(.disabled), .header a.delete:not(.disabled)")
    wait_until(lambda: flags(h, 3) is None, what="the removal of a letter")
    check(flags(h, 3, "Trash"), "the letter is not in Trash")
    b.click("a.compose")
    b.click(".recipient-input input")
    b.type("bob@example.test")
    b.click("#compose-subject")
    b.type("Roundcube: " + SUBJECTS[1])
    b.click("#composebody")
    b.type(MEETING)
    b.picture(picture_path("roundcube-compose"))
    b.click("button.send, a.send")
    wait_until(lambda: arrived(h, "Roundcube: " + SUBJECTS[1]), seconds=30, what="the letter that was sent")
    b.wait("""!!document.querySelector("#messagelist")""", "the list after a letter was sent")


def test_roundcube(h):
    furnish(h)
    with home() as folder, roundcube(h, folder) as address, Browser(folder, width=1400, height=900) as b:
        b.go(address)
        b.click("#rcmloginuser")
        b.type("alice")
        b.click("#rcmloginpwd")
        b.type(h.users["alice"])
        b.key("Enter", 13)
        roundcube_reads(h, b)
        roundcube_writes(h, b)
    said = open(os.path.join(logs(), "roundcube-imap.log"), encoding="utf-8", errors="replace").read()
    wrong = [line for line in said.split("\n") if " S: " in line and line.split(" S: ")[1].split(" ")[1:2] in (["BAD"], ["NO"])]
    check(not wrong, "Roundcube was answered:", "\n".join(wrong[:10]))
    drop(h, INNER, FOLDER)


# ---- Claws Mail ----

@contextlib.contextmanager
def display(width, height):
    """An X server without a screen; the number of the display as a client wants it."""
    read, written = os.pipe()
    with open(log_path("xvfb"), "wb") as log:
        server = subprocess.Popen([need("Xvfb"), "-displayfd", str(written), "-screen", "0", f"{width}x{height}x24", "-nolisten",
                                   "tcp"], pass_fds=(written,), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    os.close(written)
    try:
        with open(read) as f:
            number = f.readline().strip()
        check(number, "Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class Claws:
    """Claws Mail with one account and a local mailbox to queue in, driven by its own commands and by keys."""

    def __init__(self, h, folder, screen):
        for program in ("claws-mail", "xdotool", "import"):
            need(program)
        self.folder, self.config = folder, f"{folder}/claws"
        self.env = environment(folder, DISPLAY=screen, NO_AT_BRIDGE="1")
        self.settings(h)
        self.log = open(log_path("claws-mail"), "wb")
        self.process = subprocess.Popen([*self.command(), "--debug", "--geometry", "1150x750+0+0"], env=self.env, stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)

    def command(self):
        return ["claws-mail", "--alternate-config-dir", self.config]

    def settings(self, h):
        write(f"{self.config}/clawsrc", "[Common]\nconfig_version=2\nnext_account_id=2\nonline_mode=1\ncheck_on_startup=0\n"
              "chk_on_startup=0\nenable_aspell=0\n")
        write(f"{self.config}/accountrc", f"""[Account: 1]
account_name=alice
is_default=1
name=Alice
address=alice@example.test
protocol=1
receive_server=localhost
smtp_server=localhost
user_id=alice
password={h.users['alice']}
use_smtp_auth=1
smtp_user_id=alice
smtp_password={h.users['alice']}
ssl_imap=1
ssl_smtp=2
set_imapport=1
imap_port={h.ports['imaps']}
set_smtpport=1
smtp_port={h.ports['submission']}
imap_subsonly=0
set_sent_folder=1
sent_folder=#imap/alice/Sent
""")
        kinds = {"inbox": "INBOX", "outbox": "Sent", "draft": "Drafts", "trash": "Trash"}
        far = "".join(f'<folderitem type="{k}" name="{n}" path="{n}" />' for k, n in kinds.items())
        near = "".join(f'<folderitem type="{k}" name="{k}" path="{k}" />' for k in (*kinds, "queue"))
        for k in (*kinds, "queue"):
            os.makedirs(f"{self.folder}/Mail/{k}")
        write(f"{self.config}/folderlist.xml", f"""<?xml version="1.0" encoding="UTF-8"?>
<folderlist config_version="4"><folder type="imap" name="alice" account_id="1" sort="1">{far}</folder>
<folder type="mh" name="local" path="{self.folder}/Mail" sort="0">{near}</folder></folderlist>
""")
        with open(certificate.path) as f:
            pem = f.read()
        for service in ("imaps", "submission"):  # a certificate that was looked at and taken
            path = f"{self.config}/certs/localhost.{h.ports[service]}.cert"
            write(path + ".chain", pem)
            with open(path, "wb") as f:
                f.write(ssl.PEM_cert_to_DER_cert(pem))

    def tell(self, *words):
        subprocess.run([*self.command(), *words], env=self.env, capture_output=True, timeout=30, check=True)

    def xdotool(self, *words):
        return subprocess.run(["xdotool", *words], env=self.env, capture_output=True, timeout=30).stdout.decode()

    def window(self, name):
        """Waits for a window of that name, and gives it the keys."""
        found = wait_until(lambda: self.xdotool("search", "--onlyvisible", "--name", name).split(), seconds=30,
                           what=f"a window {name}")
        self.xdotool("windowfocus", "--sync", found[-1])

    def said(self):
        with open(self.log.name, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def picture(self, name):
        time.sleep(0.5)  # what it drew last is on its way to the X server
        subprocess.run(["import", "-window", "root", picture_path(name)], env=self.env, check=True, capture_output=True,
                       timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            with contextlib.suppress(subprocess.SubprocessError):
                self.picture("claws-mail-failed")
        self.process.kill()
        self.process.wait(10)
        self.log.close()


def uid_of(h, number, mailbox="INBOX"):
    with h.imap(select=f'"{utf7(mailbox)}"') as t:
        return t.ok(f'UID SEARCH HEADER Message-ID "letter-{number}@"')[0][0].split()[2]


def claws_session(h, c):
    c.window("Claws Mail [0-9]")
    c.xdotool("mousemove", "100", "132", "click", "3")  # the menu of the account, the first row
    time.sleep(0.5)
    c.xdotool("key", "h")  # Check for new folders
    wait_until(lambda: f'LIST "" "{utf7(INNER)}/%"' in c.said(), seconds=30, what="the list of folders")
    wait_until(lambda: "SELECT Queue" in c.said(), what="the end of the list of folders")
    c.tell("--select", f"#imap/alice/INBOX/{uid_of(h, 1)}")
    wait_until(lambda: "\\Seen" in flags(h, 1), seconds=30, what="\\Seen")
    c.picture("claws-mail-letter")
    c.window("Claws Mail [0-9]")
    c.xdotool("key", "asterisk")
    wait_until(lambda: "\\Flagged" in flags(h, 1), what="\\Flagged")
    c.tell("--select", f"#imap/alice/INBOX/{uid_of(h, 3)}")
    wait_until(lambda: "\\Seen" in flags(h, 3), what="\\Seen")
    c.window("Claws Mail [0-9]")
    c.xdotool("key", "ctrl+d")
    wait_until(lambda: flags(h, 3) is None, what="the removal of a letter")
    check(flags(h, 3, "Trash"), "the letter is not in Trash")
    c.tell("--select", f"#imap/alice/{INNER}/{uid_of(h, 40, INNER)}")
    wait_until(lambda: "\\Seen" in flags(h, 40, INNER), what="\\Seen in a folder with a Chinese name")
    c.picture("claws-mail-folder")
    subject = "Claws: " + SUBJECTS[1]
    c.tell("--compose-from-file", write(f"{c.folder}/new", f"To: bob@example.test\nSubject: {subject}\n\n{MEETING}\n"))
    c.window("Compose message")
    c.picture("claws-mail-compose")
    c.xdotool("key", "ctrl+Return")
    wait_until(lambda: arrived(h, subject), seconds=30, what="the letter that was sent")


def test_claws_mail(h):
    need("claws-mail")
    furnish(h)
    with home() as folder, display(1150, 750) as screen, Claws(h, folder, screen) as c:
        claws_session(h, c)
        wrong = [line for line in c.said().split("\n") if "IMAP< " in line and line.split("IMAP< ")[1].split(" ")[1:2] == ["BAD"]]
        check(not wrong, "Claws Mail was answered:", "\n".join(wrong[:10]))
    drop(h, INNER, FOLDER, "Queue")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], config=certificate.config()))
