"""What the system tests stand on: a throw-away post house, lines spoken to it, and a runner of tests.

A test file is run as `python3 test_x.py PATH/posthouse [PART-OF-A-TEST-NAME]...`. Its functions named test_* get the
file's post house (or None when the file says own_houses). A failure prints what was said on the connections of that
test and the end of the post house's log. Exit status 0: all passed, 1: some failed, 77: all were skipped.
"""
import contextlib
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

WAIT = 15.0  # seconds for one answer; sanitizer builds on a busy machine are slow
PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}
ROLES = ("supervisor", "frontend", "backend", "auth", "resolver", "outbound")
USERS = {"alice": "wonder land", "bob": "builder-secret"}


class Skip(Exception):
    """The test cannot run here; its text says why."""


class Wrong(AssertionError):
    pass


def check(truth, *what):
    if not truth:
        raise Wrong(" ".join(str(w) for w in what) or "not true")


def equal(got, wanted, what=""):
    if got != wanted:
        raise Wrong(f"{what or 'value'}: got {shorten(got)}, wanted {shorten(wanted)}")


def contains(whole, part, what=""):
    if part not in whole:
        raise Wrong(f"{what or 'text'}: {shorten(part)} is not in {shorten(whole)}")


def shorten(value, most=600):
    if isinstance(value, bytes) and len(value) > most:
        return f"{value[:most]!r}... ({len(value)} bytes)"
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def wait_until(truth, seconds=WAIT, what="it", pause=0.02):
    """Polls a condition that no descriptor tells of."""
    until = time.monotonic() + seconds
    while True:
        got = truth()
        if got:
            return got
        if time.monotonic() > until:
            raise Wrong(f"{what} did not happen within {seconds} s")
        time.sleep(pause)


def need(program):
    path = shutil.which(program)
    if not path:
        raise Skip(f"{program} is not installed")
    return path


# ---- processes seen from outside ----

def proc_field(pid, name, file="status"):
    with open(f"/proc/{pid}/{file}") as f:
        for line in f:
            if line.startswith(name + ":"):
                return line.split(":", 1)[1].strip()
    raise Wrong(f"/proc/{pid}/{file} has no {name}")


def children_of(pid):
    """All processes below one, by their parents."""
    below, parents = [], {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            with open(path) as f:
                text = f.read()
            fields = text[text.rindex(")") + 2:].split()
            parents.setdefault(int(fields[1]), []).append(int(text.split(" ", 1)[0]))
    todo = [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            below.append(child)
            todo.append(child)
    return below


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            text = f.read()
    except OSError:
        return False
    return text[text.rindex(")") + 2] not in "ZX"


def sanitized(pid):
    """Sanitizers need a large address space, files for their reports, and keep freed memory for a while."""
    with open(f"/proc/{pid}/maps") as f:
        return re.search(r"/lib(clang_rt\.)?[alt]?san", f.read()) is not None


def pss_kib(pids):
    """Proportional memory of processes; the sum counts every shared page once."""
    return sum(int(proc_field(p, "Pss", "smaps_rollup").split()[0]) for p in pids)


# ---- ports ----

def claim_ports():
    """A base port that no other test uses (an abstract socket is the lock) and whose ports are free."""
    bases = list(range(11000, 23000, 1000))
    random.shuffle(bases)
    for base in bases:
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0posthouse-test-{base}")
            for port in PORTS.values():
                with socket.socket() as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind(("127.0.0.1", base + port))
            return base, lock
        except OSError:
            lock.close()
    raise Skip("no free ports")


# ---- the post house ----

class House:
    """`posthouse dev` in a temporary folder."""

    open_houses = []

    def __init__(self, program, users=None, config="", cleartext=True, env=None, wrap=(), start=True, auto=False,
                 domain="example.test"):
        self.program = os.path.abspath(program)
        self.domain = domain
        self.users = dict(USERS if users is None else users)
        self.base, self.lock = claim_ports()
        self.ports = {name: self.base + n for name, n in PORTS.items()}
        self.dir = tempfile.mkdtemp(prefix="posthouse-test-")
        os.chmod(self.dir, 0o755)
        self.log_path = os.path.join(self.dir, "log")
        self.env = {**os.environ, **(env or {})}
        self.wrap = tuple(wrap)
        self.process = None
        self.expect_noise = False
        self.check_store = True  # when it ends; False: a test damages the store
        self.auto = auto  # let dev write its config and make up its users
        if not auto:
            self.write_config(config, cleartext)
        House.open_houses.append(self)
        if start:
            self.start()

    @property
    def config_path(self):
        return os.path.join(self.dir, "posthouse.conf")

    def write_config(self, more="", cleartext=True):
        lines = [f"host mail.{self.domain}", f"data {self.dir}/data", f"run {self.dir}/run"]
        for name, port in self.ports.items():
            lines.append(f"listen {name} 127.0.0.1:{port}")
        lines += [f"listen lmtp {self.dir}/run/lmtp.sock", "log {", "\tlevel info", "}"]
        lines += ["auth {", f"\tcleartext-on-loopback {'yes' if cleartext else 'no'}", "}", more]
        with open(self.config_path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        args = [*self.wrap, self.program, "dev", "--json", "--dir", self.dir, "--base-port", str(self.base), "--domain",
                self.domain]
        if not self.auto:
            for name, secret in self.users.items():
                args += ["--user", f"{name}:{secret}"]
        log = open(self.log_path, "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
                                        env=self.env, start_new_session=True)
        log.close()
        line = self.read_ready_line()
        self.ready_s = time.monotonic() - self.started
        try:
            self.ready = json.loads(line)
            equal(self.ready["event"], "ready", "event")
        except (ValueError, KeyError, Wrong):
            self.kill()
            raise Wrong(f"posthouse dev did not become ready; it said {line!r}")
        self.pid = self.ready["pid"]
        if self.auto:
            self.users = {u["name"]: u["password"] for u in self.ready.get("users", [])}
        return self

    def read_ready_line(self):
        box = []
        reader = threading.Thread(target=lambda: box.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(60)
        return box[0].decode() if box else ""

    def log(self):
        if not os.path.exists(self.log_path):  # never started
            return ""
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def log_size(self):
        return os.path.getsize(self.log_path)

    def log_since(self, size):
        with open(self.log_path, "rb") as f:
            f.seek(size)
            return f.read().decode("utf-8", "replace")

    def status(self):
        result = self.cli("status", "--json", codes=(0, 1))
        return result["result"]

    def pids(self, role=None):
        """Process ids by role name, or those of one role."""
        found = {"supervisor": [self.status_pid()]}
        for r in self.status()["roles"]:
            found.setdefault(r["role"], []).append(r["pid"])
        return found.get(role, []) if role else found

    def status_pid(self):
        return self.status()["pid"]

    def all_pids(self):
        return [self.pid] + children_of(self.pid)

    def cli(self, *args, codes=(0,), stdin=None, text=False):
        """Runs the command line against this post house; the parsed JSON, or the output of people's form."""
        got = self.cli_run(*args, stdin=stdin)
        check(got.returncode in codes, f"posthouse {' '.join(args)}: exit status {got.returncode}, wanted {codes};",
              got.stdout.strip(), got.stderr.strip())
        return got.stdout if text else json.loads(got.stdout) if got.stdout.strip() else None

    def cli_run(self, *args, stdin=None, env=None):
        return subprocess.run([self.program, *args, "--dir", self.dir], input=stdin, text=True, capture_output=True,
                              timeout=60, stdin=subprocess.DEVNULL if stdin is None else None,
                              env={**self.env, **(env or {})})

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, seconds=30):
        """TERM; the exit status must be 0 and nothing may be left running."""
        if not self.process:
            return
        family = children_of(self.process.pid)
        os.kill(self.pid, signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Wrong(f"the post house did not end within {seconds} s of TERM")
        self.process.stdout.close()
        self.process = None
        left = [p for p in family if alive(p)]
        for p in left:
            with contextlib.suppress(OSError):
                os.kill(p, signal.SIGKILL)
        equal(status, 0, "exit status of posthouse dev")
        equal(left, [], "processes left running")

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """Everything at once, as a power cut would."""
        if not self.process:
            return
        family = [self.process.pid] + children_of(self.process.pid)
        for p in family:
            with contextlib.suppress(OSError):
                os.kill(p, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process = None
        wait_until(lambda: not any(alive(p) for p in family), 10, "the end of all roles")

    def close(self):
        """Ends it for good; returns what was wrong, as text."""
        wrong = ""
        try:
            self.stop()
        except Wrong as e:
            wrong = str(e)
        finally:
            self.kill()
        report = noise(self.log())
        if report and not self.expect_noise:
            wrong += ("; " if wrong else "") + "the log holds: " + report
        amiss = self.store_findings() if self.check_store else ""
        if amiss:
            wrong += ("; " if wrong else "") + "the store: " + amiss
        self.lock.close()
        House.open_houses.remove(self)
        if not wrong and not os.environ.get("POSTHOUSE_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        return wrong

    def store_findings(self):
        """What `store check` says of a post house that does not run: whatever a test did, all must fit together."""
        got = self.cli_run("store", "check")
        return "" if got.returncode in (0, 66) else (got.stdout + got.stderr).strip()

    # -- clients --

    def talk(self, service, **options):
        return Talk(("127.0.0.1", self.ports[service]), tls=service.endswith("s"), name=service, **options)

    def smtp(self, service="smtp", hello="client.example.org", **options):
        t = Smtp(("127.0.0.1", self.ports[service]), tls=service == "submissions", name=service, **options)
        t.reply(220)
        if hello:
            t.say(f"EHLO {hello}", 250)
        return t

    def lmtp(self):
        t = Smtp(os.path.join(self.dir, "run", "lmtp.sock"), name="lmtp")
        t.reply(220)
        t.say("LHLO client.example.org", 250)
        return t

    def imap(self, user="alice", service="imap", select=None):
        t = Imap(("127.0.0.1", self.ports[service]), tls=service == "imaps", name=f"imap {user}")
        t.greeting = t.line()
        if user:
            t.ok(f'LOGIN {user} "{self.users[user]}"')
        if select:
            t.ok(f"SELECT {select}")
        return t

    def send(self, to="alice", body="Subject: test\r\n\r\nhello\r\n", sender="stranger@example.org"):
        """One message through port 25; the queue id of its 250."""
        with self.smtp() as t:
            return t.message(sender, [to if "@" in to else f"{to}@{self.domain}"], body)

    def clear(self, user="alice", mailbox="INBOX"):
        with self.imap(user, select=mailbox) as t:
            t.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)", also=("NO", "BAD"))
            t.ok("EXPUNGE")


def noise(log):
    """What must never stand in a log: sanitizer reports, aborts, broken promises between roles."""
    for mark in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer",
                 "Assertion", "role_offense", "SUMMARY: "):
        at = log.find(mark)
        if at >= 0:
            return log[max(0, at - 300):at + 3000]
    return ""


# ---- talking ----

class Talk:
    """A connection spoken to in lines, every one of them kept for the report of a failure."""

    transcript = []

    def __init__(self, address, tls=False, name="", timeout=WAIT, rcvbuf=None):
        self.name = name
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.have = b""
        if tls:
            self.start_tls()

    def note(self, who, what):
        shown = what if len(what) < 300 else what[:300] + b"... (%d bytes)" % len(what)
        Talk.transcript.append(f"{self.name} {who} {shown!r}")

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.note("C", data)
        self.sock.sendall(data)

    def put(self, line):
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def fill(self):
        try:
            more = self.sock.recv(262144)
        except TimeoutError:
            raise Wrong(f"{self.name}: no answer within {self.sock.gettimeout()} s; so far {shorten(self.have)}")
        except ConnectionError as e:
            raise EOFError(f"{self.name}: {e}")
        if not more:
            raise EOFError(f"{self.name}: the server closed the connection; last words {shorten(self.have)}")
        self.have += more

    def line(self):
        while b"\n" not in self.have:
            self.fill()
        line, self.have = self.have.split(b"\n", 1)
        self.note("S", line + b"\n")
        check(line.endswith(b"\r"), "an answer's line does not end in CRLF:", shorten(line))
        return line[:-1].decode("utf-8", "surrogateescape")

    def exact(self, n):
        parts, got = [self.have], len(self.have)
        while got < n:
            self.have = b""
            self.fill()
            parts.append(self.have)
            got += len(self.have)
        whole = b"".join(parts)
        self.have = whole[n:]
        self.note("S", whole[:n])
        return whole[:n]

    def silent(self, seconds=0.3):
        """Nothing must come; what did come is in the exception."""
        old = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.have += self.sock.recv(65536)
        except TimeoutError:
            pass
        except OSError as e:
            if "timed out" not in str(e):
                raise
        self.sock.settimeout(old)
        equal(self.have, b"", f"{self.name}: bytes that came unasked")

    def ended(self):
        """The server closes, saying nothing more."""
        try:
            while True:
                self.fill()
        except EOFError:
            equal(self.have, b"", "last words")

    def rest(self):
        """All that comes until the server closes."""
        with contextlib.suppress(EOFError):
            while True:
                self.fill()
        self.note("S", self.have)
        got, self.have = self.have, b""
        return got

    def vanish(self):
        """RST, as a client that lost its machine."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Smtp(Talk):
    def reply(self, code=None):
        """One reply as (code, lines of text)."""
        lines = []
        while True:
            line = self.line()
            check(re.match(r"[2-5][0-9][0-9][ -]", line), "not a reply line:", shorten(line))
            check(not lines or line[:3] == got, "codes of one reply differ:", line)
            got = line[:3]
            lines.append(line[4:])
            if line[3] == " ":
                break
        if code is not None and str(code) != got:
            raise Wrong(f"{self.name}: reply {got} {lines}, wanted {code}")
        return int(got), lines

    def say(self, line, code=None, status=None):
        self.put(line)
        got, lines = self.reply(code)
        if status:
            check(lines[0].startswith(status + " "), f"{line!r}: status {lines[0]!r}, wanted {status}")
        return got, lines

    def auth(self, user, secret):
        import base64
        return self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{secret}".encode()).decode())

    def envelope(self, sender, recipients, options=""):
        self.say(f"MAIL FROM:<{sender}>{options}", 250)
        for r in recipients:
            self.say(f"RCPT TO:<{r}>", 250)

    def message(self, sender, recipients, body, code=250):
        """A whole transaction; the body is dot-stuffed here. Returns the queue id."""
        self.envelope(sender, recipients)
        self.say("DATA", 354)
        body = body.encode() if isinstance(body, str) else body
        if not body.endswith(b"\r\n"):
            body += b"\r\n"
        self.send(re.sub(rb"(?m)^\.", b"..", body) + b".\r\n")
        _, lines = self.reply(code)
        found = re.search(r"\b[0-9a-z]{26}\b", lines[0])
        check(code != 250 or found, "no queue id in", lines)
        return found.group() if found else ""


class Imap(Talk):
    """A client of IMAP that keeps literals apart from text: an answer is a list of lines, each a list of pieces
    in which bytes are literals."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.tag = 0

    def response(self):
        pieces = []
        while True:
            text = self.line()
            pieces.append(text)
            literal = re.search(r"\{(\d+)\}$", text)
            if not literal:
                return pieces
            pieces[-1] = text[:literal.start()]
            pieces.append(self.exact(int(literal.group(1))))

    def start(self, command):
        self.tag += 1
        tag = f"a{self.tag}"
        self.put(tag.encode() + b" " + (command.encode() if isinstance(command, str) else command))
        return tag

    def finish(self, tag):
        """Untagged responses, and the status line of the tag."""
        untagged = []
        while True:
            r = self.response()
            if r[0].startswith(tag + " "):
                return r[0][len(tag) + 1:], untagged
            if not r[0].startswith(("* ", "+")):
                raise Wrong(f"not a response: {shorten(r)}")
            untagged.append(r)

    def command(self, command):
        return self.finish(self.start(command))

    def ok(self, command, also=()):
        status, untagged = self.command(command)
        check(status.split()[0] in ("OK", *also), f"{command!r}: {status}")
        self.status_line = status
        return untagged

    def no(self, command, code="", word="NO"):
        status, untagged = self.command(command)
        check(status.startswith(f"{word} "), f"{command!r}: wanted {word}, got {status}")
        if code:
            contains(status, f"[{code}", command)
        return untagged

    def bad(self, command):
        return self.no(command, word="BAD")

    def fetch(self, what, items, uid=False):
        """{sequence number: pieces} of FETCH."""
        got = {}
        for r in self.ok(f"{'UID ' if uid else ''}FETCH {what} {items}"):
            m = re.match(r"\* (\d+) FETCH ", r[0])
            if m:
                got[int(m.group(1))] = r
        return got

    def body(self, number, uid=False):
        r = self.fetch(number, "BODY.PEEK[]", uid=uid)
        check(len(r) == 1, "no body of", number)
        return next(p for p in list(r.values())[0] if isinstance(p, bytes))

    def append(self, message, mailbox="INBOX", flags=""):
        message = message.encode() if isinstance(message, str) else message
        tag = self.start(f"APPEND {mailbox} {flags + ' ' if flags else ''}{{{len(message)}}}")
        contains(self.line(), "+", "continuation")
        self.send(message + b"\r\n")
        status, untagged = self.finish(tag)
        check(status.startswith("OK"), "APPEND:", status)
        return status, untagged

    def count(self):
        """Messages of the selected mailbox by asking anew."""
        return len(self.ok("UID SEARCH ALL")[0][0].split()) - 2

    def logout(self):
        self.ok("LOGOUT")
        self.ended()
        self.close()


def text_of(response):
    """A response as one text, literals in place."""
    return "".join(p if isinstance(p, str) else p.decode("utf-8", "surrogateescape") for p in response)


def joined(untagged):
    return "\n".join(text_of(r) for r in untagged)


# ---- the runner ----

def run_one(name, function, house):
    Talk.transcript = []
    began = time.monotonic()
    marks = {h: h.log_size() for h in House.open_houses if os.path.exists(h.log_path)}
    before = list(House.open_houses)
    verdict, report = "ok", ""
    try:
        function(house)
    except Skip as e:
        verdict, report = "skipped", f": {e}"
    except Exception:  # a test that fails must not keep the others from running
        verdict, report = "FAILED", "\n" + traceback.format_exc()
    for h in [h for h in House.open_houses if h not in before]:
        log = h.log() if verdict == "FAILED" else ""
        wrong = h.close()
        if wrong and verdict != "FAILED":
            verdict, report, log = "FAILED", "\n" + wrong, log or "(the folder is kept) " + h.dir
        if verdict == "FAILED":
            report += "\nlog of its post house:\n" + log[-6000:]
    print(f"{verdict:8} {name} ({time.monotonic() - began:.2f} s){report}", flush=True)
    if verdict == "FAILED":
        print("said:\n  " + "\n  ".join(Talk.transcript[-40:]))
        for h, size in marks.items():
            print("log:\n" + h.log_since(size)[-6000:], flush=True)
    return verdict


def main(module, own_houses=False, **options):
    """Runs the test_* functions of a module in the order in which they are written."""
    program = sys.argv[1]
    if os.sep in program:
        program = os.path.abspath(program)
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in vars(module).items()
             if n.startswith("test_") and callable(f) and (not wanted or any(w in n for w in wanted))]
    module.PROGRAM = program
    house, verdicts = None, []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if not own_houses:
            house = House(program, **options)
        for name, function in tests:
            if house and house.process and house.process.poll() is not None:
                print("FAILED   the post house died:\n" + house.log()[-8000:])
                return 1
            verdicts.append(run_one(name, function, house))
        if house:
            wrong = house.close()
            if wrong:
                print(f"FAILED   the end: {wrong}")
                verdicts.append("FAILED")
    except Wrong as e:
        print(f"FAILED   {e}")
        for h in House.open_houses:
            print(h.log()[-8000:])
        verdicts.append("FAILED")
    finally:
        for h in list(House.open_houses):
            with contextlib.suppress(Exception):
                h.kill()
                shutil.rmtree(h.dir, ignore_errors=True)
    if "FAILED" in verdicts:
        print(f"{verdicts.count('FAILED')} of {len(verdicts)} failed")
        return 1
    return 77 if verdicts and all(v == "skipped" for v in verdicts) else 0
