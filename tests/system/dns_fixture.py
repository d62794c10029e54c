"""A name server of the tests' own: nsd on loopback, with the whole DNS in a dictionary.

    dns = Dns({"one.example": ["MX 10 mx.one.example."], "mx.one.example": ["A 127.0.1.1"]}, broken=["bad.example"])
    config = dns.config()

It serves the root, so that what is not in the dictionary does not exist (NXDOMAIN); names below `broken` are answered
with SERVFAIL. Nothing is signed.
"""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import Skip, need, wait_until


class Dns:
    def __init__(self, records, broken=(), address="127.0.0.1", port=None, wrap=()):
        need("nsd")
        self.dir = tempfile.mkdtemp(prefix="posthouse-dns-")
        self.address, self.broken, self.wrap = address, broken, tuple(wrap)
        self.port = port or self.free_port()
        self.write_zone(records)
        zones = [(".", "root")] + [(name, "not-there") for name in broken]
        with open(os.path.join(self.dir, "nsd.conf"), "w") as f:
            f.write(f"""server:
    ip-address: {self.address}@{self.port}
    server-count: 1
    username: ""
    zonesdir: "{self.dir}"
    pidfile: "{self.dir}/pid"
    xfrdfile: ""
    zonelistfile: "{self.dir}/zonelist"
    rrl-ratelimit: 0
remote-control:
    control-enable: no
""" + "".join(f'zone:\n    name: "{name}"\n    zonefile: "{self.dir}/{file}"\n' for name, file in zones))
        self.start()

    def free_port(self):
        """Free for UDP and TCP: answers with many records come over both."""
        for _ in range(50):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u, socket.socket() as t:
                u.bind((self.address, 0))
                with contextlib.suppress(OSError):
                    t.bind(u.getsockname())
                    return u.getsockname()[1]
        raise Skip("no free port for nsd")

    def write_zone(self, records):
        lines = ["$ORIGIN .", "$TTL 5", ". IN SOA ns.posthouse. admin.posthouse. 1 3600 900 86400 1", ". IN NS ns.posthouse.",
                 f"ns.posthouse. IN A {self.address}"]
        for name, values in records.items():
            lines += [f"{name}. IN {value}" for value in values]
        with open(os.path.join(self.dir, "root"), "w") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen([*self.wrap, "nsd", "-d", "-c", os.path.join(self.dir, "nsd.conf")], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        if not self.wrap:
            wait_until(self.answers, 20, "nsd's first answer")

    def answers(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.dir, "log")) as f:
                raise Skip("nsd does not run here: " + f.read()[-300:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, contextlib.suppress(OSError):
            s.settimeout(0.3)
            s.connect((self.address, self.port))
            s.send(b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + b"\0\x00\x06\x00\x01")
            return s.recv(1500)[3] & 15 == 0

    def config(self):
        """Settings of a post house that asks this server."""
        return f"resolver {{\n\tserver {self.address}:{self.port}\n\ttrust-anchor /nowhere\n}}\n"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
