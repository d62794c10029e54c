"""Programs that keep a copy of the mailboxes: offlineimap, mbsync with many messages, doveadm, fetchmail, getmail.

POSTHOUSE_MBSYNC_MESSAGES says how many messages mbsync has to do with.
"""
import os
import re
import subprocess
import sys
import threading
import time

from clients import (FOLDER, INNER, Tap, bodies, drop, environment, fill, home, letter, log_path, run, utf7, write)
from harness import Wrong, check, contains, equal, main, need, wait_until

MANY = int(os.environ.get("POSTHOUSE_MBSYNC_MESSAGES", "1500"))


def lf(message):
    return message.replace(b"\r\n", b"\n")


def sorted_files(*folders):
    """The messages of maildirs, sorted, each with LF."""
    found = []
    for folder in folders:
        for sub in ("cur", "new"):
            path = os.path.join(folder, sub)
            for name in os.listdir(path) if os.path.isdir(path) else ():
                with open(os.path.join(path, name), "rb") as f:
                    found.append(lf(f.read()))
    return sorted(found)


def make_maildir(path):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub), exist_ok=True)
    return path


# ---- offlineimap ----

def offlineimap(h, folder, tap):
    write(f"{folder}/rc", f"""[general]
accounts = post
metadata = {folder}/meta
socktimeout = 30
ui = basic
[Account post]
localrepository = near
remoterepository = far
utf8foldernames = yes
[Repository near]
type = Maildir
localfolders = {folder}/Mail
sync_deletes = yes
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {tap.port}
remoteuser = alice
remotepass = {h.users['alice']}
ssl = no
starttls = no
auth_mechanisms = PLAIN, LOGIN
createfolders = yes
""")
    run("offlineimap", "-c", f"{folder}/rc", "-o", folder=folder, log="offlineimap-output")


def test_offlineimap(h):
    need("offlineimap")
    mail = fill(h)
    inner = fill(h, mailbox=INNER, mail=[letter("\u9879\u76ee", number=40)])
    with home() as folder, Tap(h, "imap", "offlineimap") as tap:
        offlineimap(h, folder, tap)
        equal(sorted_files(f"{folder}/Mail/INBOX"), sorted(lf(m) for m in mail), "the copy of INBOX")
        near = f"{folder}/Mail/{INNER.replace('/', '.')}"
        check(os.path.isdir(near), "no folder", near, "but", os.listdir(f"{folder}/Mail"))
        equal(sorted_files(near), [lf(inner[0])], "the copy of the inner folder")
        # here: a flag, a new message, a new folder, a message that goes; there: a flag, a message, one that goes
        cur = f"{folder}/Mail/INBOX"
        first, second = sorted((os.path.join(p, n) for p in (f"{cur}/cur", f"{cur}/new") for n in os.listdir(p)),
                               key=lambda p: os.path.basename(p))[:2]
        flagged = lf(open(first, "rb").read())
        os.rename(first, os.path.join(cur, "cur", re.sub(r":2,.*", "", os.path.basename(first)) + ":2,FS"))
        gone = lf(open(second, "rb").read())
        os.unlink(second)
        new = lf(letter("\u672c\u5730", number=41))
        with open(f"{near}/new/1.here", "wb") as f:
            f.write(new)
        make_maildir(f"{folder}/Mail/\u5f52\u6863\u5939")
        with h.imap(select="INBOX") as t:
            t.append(letter("there", number=42))
            subject = re.search(rb"(?m)^Message-ID: (.*)$", mail[5]).group(1).decode().strip()
            uid = t.ok(f'UID SEARCH HEADER Message-ID "{subject}"')[0][0].split()[-1]
            t.ok(f"UID STORE {uid} +FLAGS (\\Deleted)")
            t.ok(f"UID EXPUNGE {uid}")
        for _ in range(2):
            offlineimap(h, folder, tap)
        there = sorted(lf(b) for b in bodies(h))
        check(gone not in there, "what was deleted here is still there")
        equal(there, sorted_files(cur), "both sides of INBOX")
        equal(len(there), len(mail) - 2 + (gone == lf(mail[5])) + 1, "messages of INBOX")
        with h.imap(select="INBOX") as t:
            number = next(n for n, r in t.fetch("1:*", "BODY.PEEK[]").items()
                          if lf(next(p for p in r if isinstance(p, bytes))) == flagged)
            contains(str(t.fetch(number, "FLAGS")), "\\Flagged")
            contains(str(t.fetch(number, "FLAGS")), "\\Seen")
            contains(str(t.ok('LIST "" "*"')), utf7("\u5f52\u6863\u5939"))
        check(any(re.sub(rb"X-OfflineIMAP: .*\n", b"", lf(b)) == new for b in bodies(h, INNER)),
              "the new message is not as it was")
    drop(h, INNER, FOLDER, "\u5f52\u6863\u5939")


# ---- mbsync ----

def mbsync(h, folder, tap, seconds=600):
    write(f"{folder}/rc", f"""IMAPAccount post
Host 127.0.0.1
Port {tap.port if tap else h.ports['imap']}
User alice
Pass "{h.users['alice']}"
SSLType None
PipelineDepth 50

IMAPStore far
Account post

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Both
Expunge Both
SyncState *
""")
    began = time.monotonic()
    said = run("mbsync", "-c", f"{folder}/rc", "-a", folder=folder, seconds=seconds).decode("utf-8", "replace")
    with open(f"{folder}/said", "a") as f:
        f.write(f"{said}\n{time.monotonic() - began:.2f} s\n")
    return said


def both_sides(h, folder):
    """What any change would change: names of files here, the highest mod-sequence there."""
    with h.imap() as t:
        return [os.path.basename(p) for p in near_files(folder)], t.ok("STATUS INBOX (UIDNEXT HIGHESTMODSEQ)")


def until_nothing_is_left(h, folder, tap):
    """Runs until neither side changes any more; the number of runs."""
    before = both_sides(h, folder)
    for runs in range(1, 6):
        mbsync(h, folder, tap)
        after = both_sides(h, folder)
        if after == before:
            return runs
        before = after
    raise Wrong("mbsync never comes to an end")


def plain(message):
    return re.sub(rb"X-TUID: [^\n]*\n", b"", lf(message))


def near_state(folder):
    """{message: flags} of the near side."""
    found = {}
    for sub in ("cur", "new"):
        for name in os.listdir(f"{folder}/mail/INBOX/{sub}"):
            flags = name.partition(":2,")[2]
            with open(f"{folder}/mail/INBOX/{sub}/{name}", "rb") as f:
                found[plain(f.read())] = "".join(sorted(c for c in flags if c in "DFRST"))
    return found


def far_state(h):
    """The same of the far side."""
    letters_of = {"\\draft": "D", "\\flagged": "F", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}
    found = {}
    with h.imap(select="INBOX") as t:
        for r in t.fetch("1:*", "(FLAGS BODY.PEEK[])").values():
            text = " ".join(p for p in r if isinstance(p, str))
            flags = re.search(r"FLAGS \(([^)]*)\)", text).group(1).lower().split()
            body = next(p for p in r if isinstance(p, bytes))
            found[plain(body)] = "".join(sorted(letters_of[f] for f in flags if f in letters_of))
    return found


def same(h, folder, count, what):
    near, far = near_state(folder), far_state(h)
    equal((len(near), len(far)), (count, count), f"{what}: messages here and there")
    if near != far:
        different = [k for k in near if near.get(k) != far.get(k)][:3]
        raise Wrong(f"{what}: the sides differ:", [(k[:200], near.get(k), far.get(k)) for k in different])


def near_files(folder):
    return sorted((f"{folder}/mail/INBOX/{sub}/{n}" for sub in ("cur", "new") for n in os.listdir(f"{folder}/mail/INBOX/{sub}")),
                  key=os.path.basename)


def set_flags(path, flags):
    base = os.path.basename(path).partition(":2,")[0]
    os.rename(path, os.path.join(os.path.dirname(os.path.dirname(path)), "cur", f"{base}:2,{flags}"))


def test_mbsync_many(h):
    """The near side fills the far one; then each changes what the other must learn."""
    need("mbsync")
    h.clear()
    with home() as folder:
        make_maildir(f"{folder}/mail/INBOX")
        for i in range(MANY):
            text = f"number {i}\r\n" + "\u4f60\u597d \u00fc\r\n" * (i % 40)
            flags = "".join(c for bit, c in enumerate("FRS") if i >> bit & 1)
            with open(f"{folder}/mail/INBOX/cur/{1700000000 + i}.{i}.here:2,{flags}", "wb") as f:
                charset = "gb18030" if i % 120 == 0 else "utf-8"
                f.write(lf(letter(f"\u4fe1\u4ef6 {i}", text, number=i, charset=charset)))
        began = time.monotonic()
        with Tap(h, "imap", "mbsync-fill") as tap:
            check(until_nothing_is_left(h, folder, tap) <= 3, "too many runs")
        filled = time.monotonic() - began
        same(h, folder, MANY, "filled from here")
        far_changes(h, folder)
        near_changes(h, folder)
        both_change(h, folder)
        print(f"         mbsync: {MANY} messages went up in {filled:.1f} s, all in all {time.monotonic() - began:.1f} s")
        with open(f"{folder}/said") as f, open(log_path("mbsync-output"), "w") as to:
            to.write(re.sub(r"[^\n]*\r", "", f.read()))


def far_changes(h, folder):
    tenth = MANY // 10
    with h.imap(select="INBOX") as t:
        t.ok(f"STORE 1:{tenth} +FLAGS.SILENT (\\Flagged)")
        t.ok(f"STORE {tenth}:{2 * tenth} -FLAGS.SILENT (\\Seen)")
        t.ok(f"STORE {3 * tenth + 1}:{4 * tenth} +FLAGS.SILENT (\\Deleted)")
        t.ok("EXPUNGE")
        for i in range(20):
            t.append(letter(f"from there {i}", number=900000 + i), flags="(\\Answered \\Seen)" if i % 2 else "")
    check(until_nothing_is_left(h, folder, None) <= 3, "too many runs")
    same(h, folder, MANY - tenth + 20, "changed there")


def near_changes(h, folder):
    tenth = MANY // 10
    files = near_files(folder)
    for i, path in enumerate(files[:2 * tenth]):
        set_flags(path, "FS" if i % 2 else "")
    for path in files[2 * tenth:3 * tenth]:
        os.unlink(path)
    for i in range(20):
        with open(f"{folder}/mail/INBOX/new/{1800000000 + i}.{i}.new", "wb") as f:
            f.write(lf(letter(f"from here {i}", number=910000 + i)))
    check(until_nothing_is_left(h, folder, None) <= 3, "too many runs")
    same(h, folder, MANY - 2 * tenth + 40, "changed here")


def both_change(h, folder):
    """In one run: flags and deletions of different messages on both sides."""
    tenth = MANY // 10
    files = near_files(folder)
    near = {plain(open(p, "rb").read()): p for p in files}
    with h.imap(select="INBOX") as t:
        n = t.count()
        t.ok(f"STORE {n - 2 * tenth + 1}:{n - tenth} +FLAGS.SILENT (\\Deleted)")
        t.ok("EXPUNGE")
        far = {plain(next(p for p in r if isinstance(p, bytes))) for r in t.fetch("1:*", "BODY.PEEK[]").values()}
        t.ok(f"STORE 1:{tenth} +FLAGS.SILENT (\\Answered)")
    left = [p for k, p in sorted(near.items()) if k in far]
    for path in left[:tenth // 2]:
        os.unlink(path)
    for path in left[tenth:2 * tenth]:
        set_flags(path, "FRS")
    check(until_nothing_is_left(h, folder, None) <= 3, "too many runs")
    same(h, folder, n - tenth - tenth // 2, "changed on both sides")


# ---- doveadm ----

def doveadm(h, folder, tap, *words):
    """Dovecot's administration tool, no server of it: its own store in a maildir, ours behind imapc."""
    write(f"{folder}/dovecot.conf", f"""base_dir = {folder}/run
state_dir = {folder}/run
mail_home = {folder}
mail_location = maildir:{folder}/Mail
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
log_path = {folder}/dovecot.log
imapc_host = 127.0.0.1
imapc_port = {tap.port}
imapc_user = alice
imapc_password = {h.users['alice']}
imapc_features = rfc822.size fetch-headers search modseq
imapc_list_prefix =
ssl = no
namespace inbox {{
  inbox = yes
  separator = /
}}
""")
    as_whom = ()
    if os.geteuid() == 0:  # it refuses to have root's mail
        as_whom = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")
        subprocess.run(["chown", "-R", "nobody:nogroup", folder], check=True)
    return run(*as_whom, "doveadm", "-c", f"{folder}/dovecot.conf", *words, folder=folder, log="doveadm-output", USER="nobody")


def test_doveadm(h):
    need("doveadm")
    mail = fill(h)
    fill(h, mailbox=INNER, mail=[letter("\u9879\u76ee", number=40)])
    with h.imap(select="INBOX") as t:
        t.ok("STORE 1 +FLAGS (\\Flagged $Label1)")
    with home() as folder, Tap(h, "imap", "doveadm") as tap:
        doveadm(h, folder, tap, "backup", "-R", "imapc:")
        equal(sorted_files(f"{folder}/Mail"), sorted(lf(m) for m in mail), "the copy of INBOX")
        inner = [p for p in os.listdir(f"{folder}/Mail") if p == "." + utf7(INNER).replace("/", ".")]
        check(inner, "no inner folder:", os.listdir(f"{folder}/Mail"))
        have = os.listdir(f"{folder}/Mail/cur")
        check(any(":2,F" in n for n in have), "no flagged message:", have)
    drop(h, INNER, FOLDER)


# ---- fetchmail that waits ----

def test_fetchmail_idle(h):
    """IMAP IDLE: a letter that comes while it waits is fetched at once."""
    program = need("fetchmail")
    h.clear("bob")
    with home() as folder, Tap(h, "imap", "fetchmail-idle") as tap:
        box = make_maildir(f"{folder}/Mail")
        write(f"{folder}/rc", f"poll 127.0.0.1 protocol imap port {tap.port} auth password\n"
              f"\tuser bob password \"{h.users['bob']}\" sslproto '' idle keep\n\tmda \"cat > {box}/new/$$\"\n")
        with open(log_path("fetchmail-output"), "wb") as out:
            got = subprocess.Popen([program, "-v", "-f", f"{folder}/rc", "-i", f"{folder}/ids", "--pidfile", f"{folder}/pid",
                                    "--nosyslog", "--nodetach"], env=environment(folder, FETCHMAILHOME=folder), stdout=out,
                                   stderr=out)
        try:
            wait_until(lambda: "IDLE" in tap.said().split("CAPABILITY")[-1], what="IDLE")
            for i in range(3):
                h.send("bob", f"Subject: live {i}\r\n\r\nhello\r\n")
                wait_until(lambda: len(sorted_files(box)) == i + 1, what=f"the delivery of letter {i}")
            contains(sorted_files(box)[-1], b"Subject: live")
        finally:
            got.terminate()
            got.wait(20)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
