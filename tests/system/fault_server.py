"""Mail servers of the tests' own, on loopback, that answer anything at any step, and keep a ledger.

One FaultServer is one port with many hosts, each at an address 127.0.x.y of its own. What a host says at a step stands
in its table `script`; what is not there it answers as a good server would. Steps: connect banner ehlo helo starttls
tls auth mail rcpt data bdat content end rset noop quit other (content: before it is read). A value is an action:

    "250 2.1.0 ok"      a reply; lines are parted by \\n ("250-one\\n250 two")
    b"..."              these bytes and nothing else (b"": no reply)
    Drop() Reset()      ends the connection (FIN, RST)
    HalfClose()         ends our side, reads on
    Silent()            says nothing more until the client goes
    Wait(s) Drip(text, s) Flood(bytes, times)
    Take()              the message counts as accepted from here on, whatever is said (or not) afterwards
    Quiet()             says nothing and means yes
    Good()              what a good server says here
    (a, b, c)           one after another
    Turns(a, b, c)      a the first time, then b, then c for ever
    {"x@y": a, "x": b, "*": c}  by recipient or its local part, in steps with an address
    f(session, text)    returns one of these

A reply 2xx at `end` accepts the message. Every message accepted stands in the ledger with its envelope, its exact
content and its hash before a word of the reply leaves; `known` says whether the reply left. What a client does that
SMTP forbids (commands pipelined unasked, bare CR or LF, 8-bit where none was offered, parameters that were not offered)
is kept in `wrong`.
"""
import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

EXTENSIONS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN")
PARAMETERS = {"SIZE": "SIZE", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN",
              "BY": "DELIVERBY", "MT-PRIORITY": "MT-PRIORITY", "REQUIRETLS": "REQUIRETLS", "AUTH": "AUTH",
              "BODY": "8BITMIME"}
STEPS = ("connect", "banner", "ehlo", "helo", "starttls", "tls", "auth", "mail", "rcpt", "data", "bdat", "content", "end",
         "rset", "noop", "quit", "other")
LONGEST_LINE = 12288
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


class Gone(Exception):
    """The session is over."""


@dataclasses.dataclass
class Drop:
    pass


@dataclasses.dataclass
class Reset:
    pass


@dataclasses.dataclass
class HalfClose:
    pass


@dataclasses.dataclass
class Silent:
    pass


@dataclasses.dataclass
class Take:
    pass


@dataclasses.dataclass
class Quiet:
    pass


@dataclasses.dataclass
class Good:
    pass


@dataclasses.dataclass
class Wait:
    seconds: float


@dataclasses.dataclass
class Drip:
    text: str
    pause: float = 0.2


@dataclasses.dataclass
class Flood:
    piece: bytes
    times: int


class Turns:
    """The n-th action at the n-th time, over all connections of the host; the last one for ever."""

    def __init__(self, *actions):
        self.actions, self.at = actions, 0

    def next(self):
        action = self.actions[min(self.at, len(self.actions) - 1)]
        self.at += 1
        return action


@dataclasses.dataclass
class Message:
    """One accepted message."""
    host: str
    sender: str
    parameters: dict
    recipients: list  # of (address, parameters)
    content: bytes
    tls: str
    login: str
    session: int
    time: float
    known: bool = False
    chunked: bool = False

    @property
    def addresses(self):
        return [address for address, _ in self.recipients]

    @property
    def sha256(self):
        return hashlib.sha256(self.content).hexdigest()


class Host:
    """One server: its name, its address and what it says."""

    def __init__(self, name, ip, script, extensions, tls, users, implicit, mechanisms):
        for step in script:
            if step not in STEPS:
                raise ValueError(f"no step {step}")
        self.name, self.ip, self.script, self.extensions = name, ip, script, list(extensions)
        self.tls, self.users, self.implicit, self.mechanisms = tls, users, implicit, mechanisms
        if tls and not implicit and "STARTTLS" not in self.extensions:
            self.extensions.append("STARTTLS")
        if users:
            self.extensions.append("AUTH " + " ".join(mechanisms))
        self.sessions, self.messages = [], []

    def offers(self, keyword):
        return any(e.split()[0] == keyword for e in self.extensions)

    def commands(self):
        """All commands of all sessions."""
        return [c for s in self.sessions for c in s.commands]


class FaultServer:
    def __init__(self, ledger=None):
        self.hosts, self.messages, self.wrong = {}, [], []
        self.lock = threading.Lock()
        self.ledger = open(ledger, "a") if ledger else None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.servers, self.tasks, self.count, self.last = [], set(), 0, 1
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]

    def host(self, name, ip, script=None, extensions=EXTENSIONS, tls=None, users=None, implicit=False, port=None,
             mechanisms=("PLAIN", "LOGIN")):
        """A host that listens from now on. tls: an ssl.SSLContext; users: {name: password} for AUTH."""
        host = Host(name, ip, script or {}, extensions, tls, users, implicit, mechanisms)
        self.hosts[ip] = host
        asyncio.run_coroutine_threadsafe(self.listen(host, port or self.port), self.loop).result(10)
        return host

    async def listen(self, host, port):
        async def serve(reader, writer):
            self.count += 1
            session = Session(self, host, reader, writer, self.count)
            host.sessions.append(session)
            task = asyncio.current_task()
            self.tasks.add(task)
            try:
                await session.run()
            finally:
                self.tasks.discard(task)

        sock = socket.create_server((host.ip, port), family=socket.AF_INET6 if ":" in host.ip else socket.AF_INET)
        # A content that is cut off must not fit into the kernel's buffers whole: its sender would be right to doubt.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.servers.append(await asyncio.start_server(serve, sock=sock, backlog=512))

    def accept(self, message, host):
        with self.lock:
            self.messages.append(message)
            host.messages.append(message)
            self.write_ledger(message)

    def write_ledger(self, m):
        if self.ledger:
            self.ledger.write(json.dumps({"number": len(self.messages), "host": m.host, "sender": m.sender, "time": m.time,
                                          "recipients": m.addresses, "size": len(m.content), "sha256": m.sha256,
                                          "tls": m.tls, "session": m.session}) + "\n")
            self.ledger.flush()

    def note_known(self, m):
        """The reply left: the client can know."""
        m.known = True
        if self.ledger:
            with self.lock:
                self.ledger.write(json.dumps({"host": m.host, "session": m.session, "sha256": m.sha256, "known": True}) + "\n")
                self.ledger.flush()

    def to(self, address):
        """All accepted messages with this recipient."""
        with self.lock:
            return [m for m in self.messages if address in m.addresses]

    def close(self):
        async def end():
            for s in self.servers:
                s.close()
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        if self.ledger:
            self.ledger.close()


class Session:
    """One connection of a client."""

    def __init__(self, server, host, reader, writer, number):
        self.server, self.host, self.reader, self.writer, self.number = server, host, reader, writer, number
        self.have, self.commands, self.said = b"", [], []
        self.hello, self.tls, self.login, self.pipelined = "", "", "", 0
        self.began, self.taken, self.messages = time.monotonic(), None, 0
        self.ended = False
        self.reset()

    def reset(self):
        self.sender, self.parameters, self.recipients, self.chunks = None, {}, [], None

    def wrong(self, what):
        self.server.wrong.append(f"{self.host.name}: {what}")

    # -- bytes --

    async def fill(self):
        try:
            more = await self.reader.read(262144)
        except (ConnectionError, ssl.SSLError) as e:
            raise Gone(str(e))
        if not more:
            raise Gone("the client closed")
        self.have += more

    async def line(self):
        while b"\n" not in self.have:
            if len(self.have) > LONGEST_LINE:
                self.wrong("a command without end")
                raise Gone()
            await self.fill()
        line, self.have = self.have.split(b"\n", 1)
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            self.wrong(f"a bare CR or LF in a command: {line[:100]!r}")
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    async def put(self, data):
        if not data:
            return
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (ConnectionError, ssl.SSLError, RuntimeError) as e:
            raise Gone(str(e))

    # -- actions --

    async def act(self, action, good):
        """Carries out an action; True when it said yes (2xx or 3xx)."""
        if isinstance(action, Good):
            action = good
        if callable(action):
            action = action(self, good)
        if isinstance(action, Turns):
            return await self.act(action.next(), good)
        if isinstance(action, (tuple, list)):
            yes = False
            for a in action:
                yes = await self.act(a, good)
            return yes
        if isinstance(action, str):
            if self.taken is None and self.step == "end" and action[:1] == "2":
                self.take()
            await self.put(action.replace("\n", "\r\n").encode() + b"\r\n")
            if self.taken is not None and self.step == "end":
                self.server.note_known(self.taken)
            self.said.append(action)
            return action[:1] in "23"
        if isinstance(action, bytes):
            await self.put(action)
            return action[:1] in (b"2", b"3")
        return await self.act_odd(action)

    async def act_odd(self, action):
        if isinstance(action, Take):
            self.take()
        elif isinstance(action, Quiet):
            return True
        elif isinstance(action, Drop):
            raise Gone("dropped")
        elif isinstance(action, Reset):
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
            raise Gone("reset")
        elif isinstance(action, HalfClose):
            self.writer.write_eof()
            await self.until_gone()
        elif isinstance(action, Silent):
            await self.until_gone()
        elif isinstance(action, Wait):
            await asyncio.sleep(action.seconds)
        elif isinstance(action, Drip):
            for c in action.text.replace("\n", "\r\n").encode() + b"\r\n":
                await self.put(bytes([c]))
                await asyncio.sleep(action.pause)
            return action.text[:1] in "23"
        elif isinstance(action, Flood):
            for _ in range(action.times):
                await self.put(action.piece)
        else:
            raise TypeError(f"no action: {action!r}")
        return False

    async def until_gone(self):
        while True:
            self.have = b""
            await self.fill()

    async def step_to(self, step, good, argument=""):
        self.step = step
        action = self.host.script.get(step, good)
        while isinstance(action, (Turns, dict)):
            if isinstance(action, Turns):
                action = action.next()
            else:
                action = next((action[k] for k in (argument, argument.rsplit("@", 1)[0], "*") if k in action), good)
        return await self.act(action, good)

    def take(self):
        self.taken = Message(self.host.name, self.sender, self.parameters, list(self.recipients), self.content, self.tls,
                             self.login, self.number, time.time(), chunked=self.chunks is not None)
        self.messages += 1
        self.server.accept(self.taken, self.host)

    # -- the dialogue --

    async def run(self):
        try:
            await self.dialogue()
        except (Gone, asyncio.CancelledError):
            pass
        except Exception as e:  # a fault of the tests' own must not look like the program's
            self.wrong(f"the fault server failed: {e!r}")
        finally:
            self.ended = True
            with contextlib.suppress(Exception):
                self.writer.close()

    async def dialogue(self):
        if self.host.implicit:
            await self.start_tls()
        await self.step_to("connect", b"")
        await self.step_to("banner", f"220 {self.host.name} ESMTP")
        verbs = {"EHLO": self.on_hello, "HELO": self.on_hello, "STARTTLS": self.on_starttls, "AUTH": self.on_auth,
                 "MAIL": self.on_mail, "RCPT": self.on_rcpt, "DATA": self.on_data, "BDAT": self.on_bdat,
                 "RSET": self.on_rset, "NOOP": self.on_noop, "QUIT": self.on_quit}
        while True:
            line = await self.line()
            self.commands.append(line)
            self.pipelined += bool(self.have)
            verb = line.split(" ", 1)[0].upper()
            rest = line[len(verb):].strip()
            if self.have and not self.host.offers("PIPELINING") and verb != "BDAT":
                self.wrong(f"pipelined unasked behind {line!r}")
            if self.have and verb in ("EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "QUIT", "NOOP"):
                self.wrong(f"{verb} is not the last of its group")
            if not line.isascii() and "SMTPUTF8" not in self.parameters and " SMTPUTF8" not in line:
                self.wrong(f"not ASCII: {line!r}")
            handler = verbs.get(verb)
            if handler:
                await handler(verb, rest)
            else:
                self.wrong(f"unknown command {line!r}")
                await self.step_to("other", "500 5.5.2 what?")

    async def on_hello(self, verb, rest):
        self.reset()
        self.hello = rest
        extensions = [e for e in self.host.extensions if not (e == "STARTTLS" and self.tls)]
        if verb == "EHLO" and extensions:
            lines = [self.host.name] + extensions
            good = "\n".join([f"250-{x}" for x in lines[:-1]] + [f"250 {lines[-1]}"])
        elif verb == "EHLO":
            good = "502 5.5.1 not here"
        else:
            good = f"250 {self.host.name}"
        await self.step_to(verb.lower(), good)

    async def on_starttls(self, _verb, _rest):
        good = "220 2.0.0 go ahead" if self.host.tls and not self.tls else "502 5.5.1 no TLS here"
        if not await self.step_to("starttls", good):
            return
        if self.have:
            self.wrong("bytes behind STARTTLS before its reply")
        await self.start_tls()

    async def start_tls(self):
        await self.step_to("tls", b"")
        try:
            await self.writer.start_tls(self.host.tls)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError) as e:
            raise Gone(f"TLS: {e}")
        self.tls = self.writer.get_extra_info("ssl_object").version()
        self.reset()
        self.hello = ""

    async def on_mail(self, _verb, rest):
        m = re.fullmatch(r"FROM:<([^>]*)>(.*)", rest, re.I)
        if not m or self.sender is not None or not self.hello:
            self.wrong(f"MAIL out of order or malformed: {rest!r}")
            await self.step_to("other", "503 5.5.1 no")
            return
        parameters = self.read_parameters(m.group(2))
        if await self.step_to("mail", "250 2.1.0 ok", m.group(1)):
            self.sender, self.parameters = m.group(1), parameters

    def read_parameters(self, text):
        parameters = {}
        for word in text.split():
            key, _, value = word.partition("=")
            parameters[key.upper()] = value
            needs = "BINARYMIME" if value.upper() == "BINARYMIME" else PARAMETERS.get(key.upper())
            if not needs or not self.host.offers(needs):
                self.wrong(f"parameter {word} was not offered")
        return parameters

    async def on_rcpt(self, _verb, rest):
        m = re.fullmatch(r"TO:<([^>]+)>(.*)", rest, re.I)
        if not m:
            self.wrong(f"malformed RCPT: {rest!r}")
            await self.step_to("other", "501 5.5.4 no")
            return
        parameters = self.read_parameters(m.group(2))
        if self.sender is None:  # lawful when pipelined behind a MAIL that was refused
            await self.step_to("other", "503 5.5.1 no MAIL")
        elif await self.step_to("rcpt", "250 2.1.5 ok", m.group(1)):
            self.recipients.append((m.group(1), parameters))

    async def on_data(self, _verb, _rest):
        if not self.recipients:
            if not await self.step_to("other", "554 5.5.1 no valid recipients"):
                return
        elif not await self.step_to("data", "354 go ahead"):
            return
        await self.step_to("content", b"")
        parts = []
        tail = b"\r\n"  # so that a lone dot at the start ends an empty message
        while True:
            at = (tail + self.have).find(b"\r\n.\r\n")
            if at >= 0:
                at += 5 - len(tail)
                parts.append(self.have[:at])
                self.have = self.have[at:]
                break
            parts.append(self.have)
            tail = (tail + self.have)[-4:]
            self.have = b""
            await self.fill()
        content = b"".join(parts)[:-3]
        self.content = re.sub(rb"(?m)^\.", b"", content)
        if self.recipients:
            await self.end_of_content()
        elif content:
            self.wrong("content for nobody")
        else:  # RFC 2920 3.1: a lone dot ends what should not have begun
            await self.step_to("other", "554 5.5.1 no valid recipients")

    async def on_bdat(self, _verb, rest):
        m = re.fullmatch(r"(\d+)( LAST)?", rest, re.I)
        if not m or not self.host.offers("CHUNKING"):
            self.wrong(f"BDAT unasked or malformed: {rest!r}")
            raise Gone()
        n = int(m.group(1))
        await self.step_to("content", b"")
        parts, got = [self.have[:n]], len(self.have[:n])
        self.have = self.have[n:]
        while got < n:
            await self.fill()
            parts.append(self.have[:n - got])
            self.have = self.have[n - got:]
            got += len(parts[-1])
        if not self.recipients:  # lawful when pipelined behind recipients that were all refused
            await self.step_to("other", "554 5.5.1 no valid recipients")
            return
        self.chunks = (self.chunks or []) + parts
        if m.group(2):
            self.content = b"".join(self.chunks)
            await self.end_of_content()
        else:
            await self.step_to("bdat", "250 2.0.0 on")

    def check_content(self):
        body = self.parameters.get("BODY", "").upper()
        if BARE.search(self.content) and body != "BINARYMIME":
            self.wrong(f"a bare CR or LF in content: {BARE.search(self.content)}")
        if not self.content.isascii():
            head = self.content.split(b"\r\n\r\n", 1)[0]
            if not head.isascii() and "SMTPUTF8" not in self.parameters and body != "8BITMIME":  # an old habit of clients
                self.wrong("UTF-8 in the header without SMTPUTF8 and 8BITMIME")
            if not self.content[len(head):].isascii() and body not in ("8BITMIME", "BINARYMIME"):
                self.wrong("8-bit content without BODY=8BITMIME")
        if body != "BINARYMIME" and max(map(len, self.content.split(b"\r\n"))) > 998:
            self.wrong("a line over 998 octets")
        if self.content and not self.content.endswith(b"\r\n") and body != "BINARYMIME":
            self.wrong("content that does not end in CRLF")

    async def end_of_content(self):
        self.check_content()
        self.taken = None
        try:
            await self.step_to("end", f"250 2.0.0 taken as {self.host.name}/{self.number}.{self.messages}",
                               self.recipients[0][0])
        finally:
            self.taken = None
        self.reset()

    async def on_rset(self, _verb, _rest):
        self.reset()
        await self.step_to("rset", "250 2.0.0 ok")

    async def on_noop(self, _verb, _rest):
        await self.step_to("noop", "250 2.0.0 ok")

    async def on_quit(self, _verb, _rest):
        await self.step_to("quit", "221 2.0.0 bye")
        raise Gone("quit")

    # -- AUTH --

    async def on_auth(self, _verb, rest):
        mechanism, _, initial = rest.partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self.host.mechanisms or not self.host.users or self.login:
            self.wrong(f"AUTH {mechanism} unasked")
            await self.step_to("other", "504 5.5.4 no such mechanism")
            return
        exchange = {"PLAIN": self.auth_plain, "LOGIN": self.auth_login, "SCRAM-SHA-256": self.auth_scram}[mechanism]
        user = await exchange(initial)
        if await self.step_to("auth", "235 2.7.0 welcome" if user else "535 5.7.8 wrong name or password", mechanism):
            self.login = user or ""

    async def ask(self, text):
        await self.put(b"334 " + base64.b64encode(text) + b"\r\n")
        line = await self.line()
        self.commands.append("(answer)")
        return base64.b64decode(line) if line != "*" else b""

    def known(self, user, secret):
        return user if self.host.users.get(user) == secret else None

    async def auth_plain(self, initial):
        text = base64.b64decode(initial) if initial else await self.ask(b"")
        parts = text.decode().split("\0")
        return self.known(parts[1], parts[2]) if len(parts) == 3 else None

    async def auth_login(self, initial):
        user = base64.b64decode(initial) if initial else await self.ask(b"Username:")
        secret = await self.ask(b"Password:")
        return self.known(user.decode(), secret.decode())

    async def auth_scram(self, initial):
        """RFC 5802, 7677; no channel binding."""
        first = (base64.b64decode(initial) if initial else await self.ask(b"")).decode()
        m = re.fullmatch(r"n,,(n=([^,]+),r=([^,]+))", first)
        if not m:
            self.wrong(f"SCRAM: first message {first!r}")
            return None
        bare, user, nonce = m.groups()
        secret = self.host.users.get(user.replace("=2C", ",").replace("=3D", "="))
        if secret is None:
            return None
        salt, rounds = os.urandom(16), 4096
        nonce += base64.b64encode(os.urandom(12)).decode()
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        final = (await self.ask(challenge.encode())).decode()
        m = re.fullmatch(r"(c=biws,r=([^,]+)),p=(.+)", final)
        if not m or m.group(2) != nonce:
            self.wrong(f"SCRAM: final message {final!r}")
            return None

        def sign(key, text):
            return hmac.new(key, text, hashlib.sha256).digest()

        salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, rounds)
        client_key = sign(salted, b"Client Key")
        talk = f"{bare},{challenge},{m.group(1)}".encode()
        proof = sign(hashlib.sha256(client_key).digest(), talk)
        if bytes(a ^ b for a, b in zip(client_key, proof)) != base64.b64decode(m.group(3)):
            return None
        verifier = sign(sign(salted, b"Server Key"), talk)
        await self.ask(b"v=" + base64.b64encode(verifier))
        return user


class BlackHole:
    """An address at which connections are neither taken nor refused."""

    def __init__(self, ip, port):
        self.socks = [socket.socket()]
        self.socks[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socks[0].bind((ip, port))
        self.socks[0].listen(0)
        for _ in range(4):  # the queue of the listening socket is full from now on
            s = socket.socket()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect((ip, port))
            self.socks.append(s)

    def close(self):
        for s in self.socks:
            s.close()


# ---- certificates ----

class Certificates:
    """A certificate authority in a folder, and certificates of every kind, made by openssl."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "new"), exist_ok=True)
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                 "/CN=authority of the tests", "-keyout", "ca.key", "-out", "ca.pem")
        with open(self.path("ca.conf"), "w") as f:
            f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={folder}/index\nnew_certs_dir={folder}/new\nserial={folder}/serial\n"
                    "default_md=sha256\npolicy=p\nrand_serial=yes\ncopy_extensions=copy\nunique_subject=no\n"
                    "[p]\ncommonName=supplied\n")
        with open(self.path("index"), "w"):
            pass

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def roots(self):
        return self.path("ca.pem")

    def run(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def context(self, name, signed=True, expired=False):
        """A server's context with a certificate for `name`."""
        base = f"{name}-{signed}-{expired}".replace("*", "any")
        if not os.path.exists(self.path(base + ".pem")):
            self.run("req", *([] if signed else ["-x509"]), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", base + ".key", "-out",
                     base + (".csr" if signed else ".pem"))
            if signed:
                years = ("20200101000000Z", "20210101000000Z") if expired else ("20200101000000Z", "20490101000000Z")
                self.run("ca", "-batch", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-startdate", years[0],
                         "-enddate", years[1], "-in", base + ".csr", "-out", base + ".pem", "-notext")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(base + ".pem"), self.path(base + ".key"))
        return context

    def old_only(self, name):
        """A context that speaks nothing newer than TLS 1.1, which nobody should take."""
        context = self.context(name)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context
