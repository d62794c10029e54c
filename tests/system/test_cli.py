"""The command line against a running post house, and its configuration."""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import House, check, contains, equal, main, wait_until
from outgoing import ZONE, World

PROGRAM = ""
USAGE, DATAERR, NOUSER, UNAVAILABLE, CONFIG = 64, 65, 67, 69, 78


def listed(h, noun, *more):
    return next(iter(h.cli(noun, "list", *more, "--json")["result"].values()))


def shown(h, *words):
    return h.cli(*words, "--json")["result"]


def refused(h, *words, code=None):
    """Exit status and JSON error of a command that must fail."""
    got = h.cli_run(*words, "--json")
    check(got.returncode != 0, " ".join(words), "succeeded")
    if code is not None:
        equal(got.returncode, code, " ".join(words))
    error = json.loads(got.stdout)["error"]
    check(error["message"] if isinstance(error, dict) else error, "an error without a text")
    return got.returncode, error


def test_status(h):
    status = h.status()
    equal(status["version"] != "", True)
    equal(sorted({r["role"] for r in status["roles"]}), ["auth", "backend", "frontend", "outbound", "resolver"])
    for r in status["roles"]:
        check(r["up"] and r["pid"] > 0 and r["restarts"] == 0, r)
    equal(status["store"]["suspect"], False)
    text = h.cli("status", text=True)
    for word in ("frontend", "backend", "auth", "resolver", "outbound", "ROLE"):
        contains(text, word)


def test_status_of_none(h):
    got = subprocess.run([PROGRAM, "status", "--dir", "/nonexistent/posthouse", "--json"], capture_output=True, text=True)
    check(got.returncode in (2, CONFIG), got)
    own_house = House(PROGRAM)
    own_house.stop()
    got = own_house.cli_run("status", "--json")
    equal(got.returncode, 2, "exit status of status when nothing runs")
    got = own_house.cli_run("domain", "list", "--json")
    equal(got.returncode, UNAVAILABLE, "exit status of domain list when nothing runs")


def test_version(h):
    contains(h.cli("version", text=True), "posthouse 0.")
    equal(shown(h, "version")["running"], shown(h, "version")["version"])


def test_domains(h):
    h.cli("domain", "add", "one.example", "--json")
    contains([d["domain"] for d in listed(h, "domain")], "one.example")
    equal(shown(h, "domain", "show", "one.example")["enabled"], True)
    refused(h, "domain", "add", "one.example")
    refused(h, "domain", "add", "not a domain")
    h.cli("domain", "set", "one.example", "--disable", "--json")
    equal(shown(h, "domain", "show", "one.example")["enabled"], False)
    h.cli("domain", "set", "one.example", "--enable", "--json")
    h.cli("account", "add", "x@one.example", "--password-stdin", "--json", stdin="long enough\n")
    refused(h, "domain", "remove", "one.example", "--yes")
    h.cli("account", "remove", "x@one.example", "--yes", "--json")
    equal(shown(h, "domain", "remove", "one.example", "--dry-run") is not None, True)
    contains([d["domain"] for d in listed(h, "domain")], "one.example")
    h.cli("domain", "remove", "one.example", "--yes", "--json")
    check("one.example" not in [d["domain"] for d in listed(h, "domain")], "a removed domain is listed")
    refused(h, "domain", "show", "one.example")


def test_forwards(h):
    for name in ("frieda", "georg"):
        h.cli("account", "add", f"{name}@example.test", "--password-stdin", "--json", stdin="long enough\n")
        h.users[name] = "long enough"

    def messages():
        return [shown(h, "account", "show", f"{name}@example.test")["messages"] for name in ("frieda", "georg")]

    h.cli("account", "set", "frieda@example.test", "--forward", "georg@example.test", "--json")
    row = shown(h, "account", "show", "frieda@example.test")
    equal((row["forward"], row["keep"]), (["georg@example.test"], True))
    h.send("frieda")
    equal(messages(), [1, 1], "messages of who forwards and keeps")
    h.cli("account", "set", "frieda@example.test", "--no-keep", "--json")
    h.send("frieda")
    equal(messages(), [1, 2], "messages of who forwards and does not keep")
    contains(h.cli("account", "show", "frieda@example.test", text=True), "georg@example.test")
    refused(h, "account", "set", "frieda@example.test", "--forward", "frieda@example.test")
    refused(h, "account", "set", "frieda@example.test", "--forward", "nobody")
    refused(h, "account", "set", "georg@example.test", "--keep")
    h.cli("account", "set", "frieda@example.test", "--no-forward", "--json")
    h.send("frieda")
    equal(messages(), [2, 2], "messages of who forwards no more")
    for name in ("frieda", "georg"):
        h.cli("account", "remove", f"{name}@example.test", "--yes", "--json")
        del h.users[name]


def test_accounts(h):
    h.cli("account", "add", "carol@example.test", "--password-stdin", "--name", "Carol C", "--quota", "5MB", "--json",
          stdin="first password\n")
    row = shown(h, "account", "show", "carol@example.test")
    equal((row["name"], row["quota"], row["enabled"]), ("Carol C", 5000000, True))
    h.users["carol"] = "first password"
    with h.imap("carol"):
        pass
    h.cli("account", "set", "carol@example.test", "--password-stdin", "--json", stdin="second password\n")
    with h.imap(None) as t:
        t.no('LOGIN carol "first password"', "AUTHENTICATIONFAILED")
        t.ok('LOGIN carol "second password"')
    h.cli("account", "set", "carol@example.test", "--quota", "none", "--name", "C", "--json")
    equal(shown(h, "account", "show", "carol@example.test")["quota"], 0)
    contains([a["account"] for a in listed(h, "account", "--domain", "example.test")], "carol@example.test")
    refused(h, "account", "add", "carol@example.test", "--generate")
    got = subprocess.run([PROGRAM, "account", "add", "dave@example.test", "--password-stdin", "--json", "--dir", h.dir],
                         input="short\n", capture_output=True, text=True)
    check(got.returncode != 0, "a password of five characters was taken")
    made = shown(h, "account", "add", "dave@example.test", "--generate")["password"]
    with h.imap(None) as t:
        t.ok(f'LOGIN dave "{made}"')
    refused(h, "account", "remove", "carol@example.test")  # no terminal, no --yes
    h.cli("account", "remove", "carol@example.test", "--yes", "--json")
    with h.imap(None) as t:
        t.no('LOGIN carol "second password"')
    with h.smtp() as t:
        t.say("MAIL FROM:<a@example.org>", 250)
        t.say("RCPT TO:<carol@example.test>", 550)
    refused(h, "account", "show", "nobody@example.test")
    refused(h, "account", "add", "x@unknown.example", "--generate")


def test_disabled_account(h):
    h.cli("account", "add", "erin@example.test", "--password-stdin", "--json", stdin="a long secret\n")
    h.cli("account", "set", "erin@example.test", "--disable", "--json")
    with h.imap(None) as t:
        t.no('LOGIN erin "a long secret"')
    h.cli("account", "set", "erin@example.test", "--enable", "--json")
    with h.imap(None) as t:
        t.ok('LOGIN erin "a long secret"')


def test_aliases(h):
    h.cli("alias", "add", "all@example.test", "alice@example.test", "bob@example.test", "--json")
    row = shown(h, "alias", "show", "all@example.test")
    equal(sorted(row["targets"]), ["alice@example.test", "bob@example.test"])
    h.cli("alias", "set", "all@example.test", "bob@example.test", "--json")
    equal(shown(h, "alias", "show", "all@example.test")["targets"], ["bob@example.test"])
    h.cli("alias", "set", "all@example.test", "--owner", "alice@example.test", "--json")
    equal(shown(h, "alias", "show", "all@example.test")["targets"], ["bob@example.test"])
    contains([a["alias"] for a in listed(h, "alias")], "all@example.test")
    refused(h, "alias", "add", "all@example.test", "alice@example.test")
    refused(h, "alias", "add", "x@unknown.example", "alice@example.test")
    h.cli("alias", "remove", "all@example.test", "--yes", "--json")
    refused(h, "alias", "show", "all@example.test")


def test_mailboxes(h):
    h.cli("mailbox", "add", "alice@example.test", "Work/2024", "--json")
    names = [m["mailbox"] for m in rows_of(h, "mailbox", "list", "alice@example.test")]
    for name in ("INBOX", "Work", "Work/2024", "Drafts", "Sent", "Trash", "Junk", "Archive"):
        contains(names, name)
    h.cli("mailbox", "set", "alice@example.test", "Work/2024", "--rename", "Work/2025", "--json")
    row = shown(h, "mailbox", "show", "alice@example.test", "Work/2025")
    equal((row["messages"], row["unseen"]), (0, 0))
    refused(h, "mailbox", "show", "alice@example.test", "Work/2024")
    h.cli("mailbox", "remove", "alice@example.test", "Work/2025", "--yes", "--json")
    refused(h, "mailbox", "remove", "alice@example.test", "INBOX", "--yes")
    with h.imap() as t:
        t.append("Subject: x\r\n\r\nx\r\n", "Work")
    equal(shown(h, "mailbox", "show", "alice@example.test", "Work")["messages"], 1)


def test_sharing(h):
    h.cli("mailbox", "add", "alice@example.test", "Team", "--json")
    row = shown(h, "mailbox", "share", "alice@example.test", "Team", "bob@example.test")
    equal((row["with"], row["rights"]), ("bob@example.test", "lr"))
    with h.imap("bob", select='"Other Users/alice@example.test/Team"') as t:
        contains(t.status_line, "READ-ONLY")
    row = shown(h, "mailbox", "share", "alice@example.test", "Team", "bob", "--rights", "write")
    equal(row["rights"], "lrswited")
    with h.imap("bob") as t:
        t.append("Subject: from bob\r\n\r\nx\r\n", '"Other Users/alice@example.test/Team"')
    equal(shown(h, "mailbox", "show", "alice@example.test", "Team")["messages"], 1)
    h.cli("mailbox", "share", "alice@example.test", "Team", "anyone", "--rights", "l", "--json")
    equal(rows_of(h, "mailbox", "rights", "alice@example.test", "Team"),
          [{"with": "anyone", "rights": "l", "taken": False},
           {"with": "bob@example.test", "rights": "lrswited", "taken": False}])
    contains(h.cli("mailbox", "rights", "alice@example.test", "Team", text=True), "bob@example.test")
    h.cli("mailbox", "unshare", "alice@example.test", "Team", "bob@example.test", "--json")
    h.cli("mailbox", "unshare", "alice@example.test", "Team", "anyone", "--json")
    equal(rows_of(h, "mailbox", "rights", "alice@example.test", "Team"), [])
    with h.imap("bob") as t:
        t.no('SELECT "Other Users/alice@example.test/Team"')
    refused(h, "mailbox", "share", "alice@example.test", "Team", "nobody@example.test")
    refused(h, "mailbox", "share", "alice@example.test", "Team", "bob", "--rights", "lrz")
    refused(h, "mailbox", "share", "alice@example.test", "Nowhere", "bob")
    refused(h, "mailbox", "share", "alice@example.test", "Team", "alice")


def rows_of(h, *words):
    return next(iter(h.cli(*words, "--json")["result"].values()))


def test_long_lists_come_whole(h):
    h.cli("domain", "add", "many.example", "--json")
    wanted = [f"a{i:03}@many.example" for i in range(250)]
    for name in wanted:
        h.cli("alias", "add", name, "alice@example.test", "--json")
    got = [a["alias"] for a in listed(h, "alias", "--domain", "many.example")]
    equal(got, wanted)


def test_mistakes_at_the_keyboard(h):
    for words in (("nonsense",), ("domain", "nonsense"), ("domain", "show"), ("domain", "show", "a", "b"),
                  ("status", "--nonsense"), ("domain",), ("account", "add", "a@example.test", "--quota")):
        got = h.cli_run(*words)
        equal(got.returncode, USAGE, " ".join(words))
        check(got.stderr.strip(), "nothing said about", " ".join(words))
    contains(h.cli_run("domian", "list").stderr, "domain")
    equal(h.cli_run("help").returncode, 0)
    equal(h.cli_run("help", "account", "add").returncode, 0)


def test_people_and_scripts(h):
    """Columns for awk, and answers that are the same thing as JSON."""
    text = h.cli("account", "list", text=True).splitlines()
    equal(text[0].split()[0], "ACCOUNT")
    equal(len({len(line.split()) for line in text if "Carol" not in line}) <= 2, True)
    equal(sorted(line.split()[0] for line in text[1:]), sorted(a["account"] for a in listed(h, "account")))


def test_config_check_and_show(h):
    path = os.path.join(h.dir, "other.conf")

    def with_text(text, *words):
        with open(path, "w") as f:
            f.write(text)
        return subprocess.run([PROGRAM, "config", *words, "--config", path], capture_output=True, text=True)

    got = with_text("host mail.example.test\nlimits {\n\tmessage 10MB\n}\n", "check")
    equal(got.returncode, 0, got.stderr)
    got = with_text("host mail.example.test\nlimits {\n\tmessage much\n\trecipient 5\n}\nnonsense yes\n", "check")
    equal(got.returncode, CONFIG)
    said = got.stdout + got.stderr
    for part in (f"{path}:3", f"{path}:4", f"{path}:6", "recipients"):
        contains(said, part)
    got = with_text("limits {\n\tmessage 10MB\n}\n", "show", "--origin")
    check(re.search(rf"message 10MB.*{re.escape(path)}:2", got.stdout), got.stdout)
    check(re.search(r"recipients 1000.*default", got.stdout), got.stdout)
    got = with_text("limits {\n\tmessage 10MB\n}\n", "show", "--changed")
    check("10MB" in got.stdout and "recipients" not in got.stdout, got.stdout)
    shown_text = with_text("limits {\n\tmessage 10MB\n}\n", "show").stdout
    got = with_text(shown_text, "show")
    equal(got.stdout, shown_text, "what config show prints, read again")


def sizes_said(h):
    with h.smtp() as t:
        return next(line for line in t.say("EHLO x", 250)[1] if line.startswith("SIZE"))


def test_reload(h):
    """All or nothing, with what changed in the log."""
    own_house = House(PROGRAM)
    before = own_house.pids()
    size = own_house.log_size()
    own_house.write_config("limits {\n\tmessage 10MB\n}\n")
    own_house.signal(signal.SIGHUP)
    wait_until(lambda: "config_reloaded" in own_house.log_since(size), what="the reload")
    log = own_house.log_since(size)
    check(re.search(r"config_changed.*limits.*message.*50.*10", log), log)
    equal(sizes_said(own_house), "SIZE 10000000")
    # a mistake: nothing changes, not even what is right
    size = own_house.log_size()
    own_house.write_config("limits {\n\tmessage 20MB\n\trecipients none\n}\n")
    own_house.signal(signal.SIGHUP)
    wait_until(lambda: "config_refused" in own_house.log_since(size), what="the refusal")
    contains(own_house.log_since(size), "posthouse.conf:")
    time.sleep(0.2)
    equal(sizes_said(own_house), "SIZE 10000000")
    # a session of before goes on with its own limits or the new ones, but goes on
    with own_house.smtp() as t:
        size = own_house.log_size()
        own_house.write_config("limits {\n\tmessage 30MB\n}\n")
        own_house.signal(signal.SIGHUP)
        wait_until(lambda: "config_reloaded" in own_house.log_since(size), what="the reload")
        t.message("a@example.org", ["alice@example.test"], "Subject: x\r\n\r\nx\r\n")
    # listeners
    size = own_house.log_size()
    with open(own_house.config_path) as f:
        text = f.read()
    port = own_house.ports["pop3"]
    new = own_house.base + 111
    with open(own_house.config_path, "w") as f:
        f.write(text.replace(f"listen pop3 127.0.0.1:{port}", f"listen pop3 127.0.0.1:{new}"))
    own_house.signal(signal.SIGHUP)
    wait_until(lambda: "config_reloaded" in own_house.log_since(size), what="the reload")
    own_house.ports["pop3"] = new
    with own_house.talk("pop3") as t:
        contains(t.line(), "+OK")
    wait_until(lambda: not answers(port), what="the end of the old listener")
    # a port that cannot be had: all stays
    size = own_house.log_size()
    with open(own_house.config_path, "w") as f:
        f.write(text + f"listen pop3 127.0.0.1:{own_house.ports['smtp']}\n")
    own_house.signal(signal.SIGHUP)
    wait_until(lambda: re.search("config_refused|config_reloaded", own_house.log_since(size)), what="an answer")
    contains(own_house.log_since(size), "config_refused")
    with own_house.talk("pop3") as t:
        contains(t.line(), "+OK")
    own_house.write_config()
    equal(own_house.pids(), before, "processes")


def answers(port):
    import socket
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False


def test_what_is_kept_over_a_restart(h):
    own_house = House(PROGRAM)
    own_house.cli("domain", "add", "kept.example", "--json")
    own_house.cli("alias", "add", "x@kept.example", "bob@example.test", "--json")
    queue_id = own_house.send(body="Subject: kept\r\n\r\nx\r\n")
    with own_house.imap(select="INBOX") as t:
        t.ok("STORE 1 +FLAGS (\\Flagged $Mark)")
        validity = t.ok("STATUS INBOX (UIDVALIDITY UIDNEXT)")[0][0]
    own_house.restart()
    with own_house.imap(select="INBOX") as t:
        contains(t.body(1), queue_id.encode())
        flags = t.fetch(1, "FLAGS")[1][0]
        check("\\Flagged" in flags and "$Mark" in flags, flags)
        equal(t.ok("STATUS INBOX (UIDVALIDITY UIDNEXT)")[0][0], validity)
    contains([d["domain"] for d in listed(own_house, "domain")], "kept.example")
    own_house.send("x@kept.example", "Subject: alias\r\n\r\nx\r\n")


def test_dev_makes_up_users(h):
    own_house = House(PROGRAM, auto=True)
    equal(sorted(own_house.users), ["alice", "bob"])
    equal(own_house.ready["ports"], own_house.ports)
    with own_house.imap("bob"):
        pass
    own_house.restart()
    own_house.signal(signal.SIGINT)
    equal(own_house.process.wait(30), 0, "exit status at INT")
    own_house.process.stdout.close()
    own_house.process = None


def test_two_on_one_folder(h):
    got = h.cli_run("dev", "--base-port", "40000")
    check(got.returncode not in (0, -9), got)
    check("lock" in got.stderr.lower() or "running" in got.stderr.lower() or "another" in got.stderr.lower(), got.stderr)
    h.send(body="Subject: unhurt\r\n\r\nx\r\n")


def test_port_in_use(h):
    got = subprocess.run([PROGRAM, "dev", "--base-port", str(h.base)], capture_output=True, text=True, timeout=60)
    check(got.returncode != 0, got)
    contains(got.stderr, str(h.ports["smtp"]))


class SmartHost(threading.Thread):
    """Greets, offers AUTH PLAIN, and takes one name and password."""

    def __init__(self, user, password):
        super().__init__(daemon=True)
        self.want = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = []
        self.start()

    def run(self):
        while True:
            s, _ = self.listener.accept()
            with s, s.makefile("rw", newline="\r\n") as f:
                self.serve(f)

    def serve(self, f):
        def say(line):
            f.write(line + "\n")
            f.flush()
        say("220 smart.example ESMTP")
        for line in f:
            line = line.strip()
            self.heard.append(line)
            verb = line.split()[0].upper() if line else ""
            if verb == "EHLO":
                say("250-smart.example\n250 AUTH PLAIN")
            elif verb == "AUTH":
                say("235 2.7.0 welcome" if line.split()[2:] == [self.want] else "535 5.7.8 no")
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")


def test_routes(_):
    h = House(PROGRAM)
    smart = SmartHost("house", "open sesame")
    at = f"127.0.0.1:{smart.port}"
    login = ("--user", "house", "--password-stdin", "--tls", "none", "--clear-ok")
    equal(listed(h, "route"), [])
    # tried before it is there: the dialogue is shown, the password is not
    got = h.cli("route", "test", at, *login, text=True, stdin="open sesame\n")
    contains(got, "S: 220 smart.example ESMTP")
    contains(got, "C: EHLO ")
    contains(got, "\ngood: ")
    check(smart.want not in got and "sesame" not in got, "the dialogue shows the password", got)
    check(any(smart.want in line for line in smart.heard), "the log-in did not come", smart.heard)
    got = h.cli("route", "test", at, *login, text=True, stdin="wrong\n", codes=(1,))
    contains(got, "not good: ")
    contains(got, "535")

    contains(h.cli("route", "add", at, *login, text=True, stdin="open sesame\n"), "added route ")
    (row,) = listed(h, "route")
    route = str(row["id"])
    equal((row["for"], row["to"], row["tls"], row["user"], row["mechanism"]), ("all", at, "none", "house", "any"))
    check("password" not in row and "sesame" not in json.dumps(row), row)
    contains(h.cli("route", "list", text=True), at)
    contains(h.cli("route", "test", route, text=True), "good: ")
    refused(h, "route", "add", "other.example", code=73)
    for words in (("h.example:0",), ("h.example", "--tls", "yes"), ("a..example",), ("h.example", "--source", "me"),
                  ("h.example", "--for-domain", "a b"), ("h.example", "--mechanism", "plain"), ("direct", "--fallback")):
        refused(h, "route", "add", *words, code=DATAERR)
    refused(h, "route", "add", "h.example", "--for-account", "nobody@nowhere.example", code=NOUSER)
    refused(h, "route", "add", "h.example", "--user", "x", code=USAGE)  # no terminal to ask on
    refused(h, "route", "add", "h.example", "--password-stdin", code=USAGE)

    h.cli("route", "add", "direct", "--for-domain", ".Near.example", "--json")
    equal([r["for"] for r in listed(h, "route")], ["to .near.example", "all"])
    # over a restart of the whole house: rows and password
    h.restart()
    equal([r["for"] for r in listed(h, "route")], ["to .near.example", "all"])
    contains(h.cli("route", "test", route, text=True), "good: ")
    for r in listed(h, "route"):
        h.cli("route", "remove", str(r["id"]), "--yes", "--json")
    equal(listed(h, "route"), [])
    refused(h, "route", "test", route, code=NOUSER)
    refused(h, "route", "remove", route, "--yes", code=NOUSER)
    check("sesame" not in h.log(), "the password is in the log")


def test_completion_and_man(h):
    got = h.cli("completion", "bash", text=True)
    contains(got, "complete")
    equal(subprocess.run(["bash", "-n"], input=got, text=True).returncode, 0, "bash -n")


OUTGOING = """queue {
	retry-min 1h
}
outbound {
	port @PORT@
	roots @ROOTS@
}
"""


def test_queue_and_trace(h):
    w = World(PROGRAM, OUTGOING)
    try:
        queue_and_trace(w, w.h)
    finally:
        w.close()


def queue_and_trace(w, h):
    equal(h.cli("queue", "list", text=True), "the queue is empty\n")
    equal(shown(h, "queue", "list"), {"messages": [], "total": {"messages": 0, "recipients": 0}})
    w.host(1)  # the others are closed
    sent = w.submit([f"bob@d1.{ZONE}"])
    first = w.submit([f"carol@d2.{ZONE}", f"dave@d2.{ZONE}"])
    second = w.submit([f"eve@d3.{ZONE}"])
    wait_until(lambda: len(w.events(sent, event="sent")) == 1 and len(w.events(first, event="deferred")) == 2
               and len(w.events(second, event="deferred")) == 1, what="the first tries")

    rows = shown(h, "queue", "list")["messages"]
    equal([m["id"] for m in rows], [first, second])
    equal((rows[0]["sender"], rows[0]["account"], rows[0]["recipients_total"]), ("alice@example.test", "alice@example.test", 2))
    for r in rows[0]["recipients"]:
        equal((r["state"], r["attempts"]), ("waiting", 1))
        contains(r["reply"], "refused")
        check(r["due"] > r["tried"], r)
    text = h.cli("queue", "list", text=True)
    for part in (first, second, f"carol@d2.{ZONE}", "next try in", "2 messages, 3 recipients"):
        contains(text, part)
    page = shown(h, "queue", "list", "--limit", "1")
    equal((len(page["messages"]), page["next"]), (1, first))
    contains(h.cli("queue", "list", "--limit", "1", text=True), "1 shown, --all shows all")
    for words, wanted in ((("--domain", f"d3.{ZONE}"), [second]), (("--recipient", f"dave@d2.{ZONE}"), [first]),
                          (("--sender", "alice@example.test"), [first, second]), (("--state", "held"), []),
                          (("--sender", "<>"), [])):
        equal([m["id"] for m in shown(h, "queue", "list", *words)["messages"]], wanted, " ".join(words))
    refused(h, "queue", "list", "--state", "lost", code=DATAERR)

    row = shown(h, "queue", "show", first)
    equal((row["from"], row["recipients_total"], len(row["lanes"])), ("alice@example.test", 2, 1))
    contains(h.cli("queue", "show", first, text=True), "Subject")
    refused(h, "queue", "show", "7zzzzzzz", code=NOUSER)
    refused(h, "queue", "show", first[:4])  # two of them
    shape = shown(h, "queue", "shape")
    equal((shape["total"]["total"], [d["domain"] for d in shape["destinations"]]), (3, [f"d2.{ZONE}", f"d3.{ZONE}"]))
    contains(h.cli("queue", "shape", text=True), "TOTAL")

    equal(shown(h, "queue", "hold", first, second), {"messages": 2, "recipients": 3})
    equal([r["state"] for m in shown(h, "queue", "list")["messages"] for r in m["recipients"]], ["held"] * 3)
    equal(shown(h, "queue", "release", "--domain", f"d3.{ZONE}"), {"messages": 1, "recipients": 1})
    wait_until(lambda: len(w.events(second, event="deferred")) == 2, what="a try of what was released")
    w.host(3)
    equal(shown(h, "queue", "retry", "--all"), {"messages": 1, "recipients": 1})
    wait_until(lambda: w.events(second, event="sent"), what="the try that was asked for")

    refused(h, "queue", "bounce", first, code=USAGE)  # nobody to ask
    equal(shown(h, "queue", "bounce", first, "--dry-run"), {"messages": 1, "recipients": 2})
    equal(shown(h, "queue", "drop", "--domain", f"d2.{ZONE}", "--sender", "bob@example.test", "--yes"),
          {"messages": 0, "recipients": 0})
    contains(h.cli("queue", "bounce", first, "--yes", "--reason", "we thought better of it", text=True), "given up: 1 message")
    report, _ = w.wait_report(f"carol@d2.{ZONE}", "failed")
    contains(report.raw, b"we thought better of it")
    equal(w.queue(), {})
    third = w.submit([f"frank@d4.{ZONE}"])
    contains(h.cli("queue", "drop", third, "--yes", text=True), "dropped: 1 message with 1 recipient")
    equal(w.events(third)[-1]["event"], "dropped")
    refused(h, "queue", "drop", code=DATAERR)  # which ones?

    story = h.cli("trace", first, text=True)
    for part in ("received from alice@example.test", f"put off for carol@d2.{ZONE}", f"held: dave@d2.{ZONE}",
                 f"failed for carol@d2.{ZONE}: we thought better of it", "sender told", "next try"):
        contains(story, part)
    contains(h.cli("trace", sent, text=True), f"sent to bob@d1.{ZONE}: mx1.{ZONE} [127.0.1.1]")
    equal({e["id"] for e in w.trace("ALICE@example.test")} >= {sent, first, second, third}, True)
    equal({e["id"] for e in w.trace("127.0.1.3")}, {second})
    equal({e["id"] for e in w.trace(w.events(sent)[0]["message_id"])}, {sent})
    equal([e["event"] for e in w.trace(sent[:16])], [e["event"] for e in w.trace(sent)])
    equal(w.trace("nobody@far.example"), [])
    refused(h, "trace", "x", code=DATAERR)
    equal(h.cli_run("trace", "a@b.test", "--since", "soon").returncode, USAGE)


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
