"""IMAP extensions of FETCH, APPEND and the session, as imaplib and a raw client see them."""
import imaplib
import ssl
import sys
import zlib

from harness import check, contains, equal, joined, main, text_of

TEXT = (b"From: a@example.org\r\nTo: alice@example.test\r\nSubject: items\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\nxOO6w6OsysC95w==\r\n")


def fresh(h, name):
    t = h.imap("alice")
    t.command(f"DELETE {name}")
    t.ok(f"CREATE {name}")
    t.ok(f"SELECT {name}")
    return t


def test_capabilities(h):
    with h.imap() as t:
        words = t.ok("CAPABILITY")[0][0].split()
        for word in ("BINARY", "PREVIEW", "SAVEDATE", "OBJECTID", "MULTIAPPEND", "CATENATE", "REPLACE", "UTF8=ACCEPT", "QUOTA",
                     "QUOTA=RES-STORAGE", "COMPRESS=DEFLATE"):
            contains(words, word)


def test_metadata(h):
    """Values that other sessions see, that stay through a rename and go with the mailbox; LIST tells them."""
    with h.imap("alice") as t, h.imap("alice") as other:
        words = t.ok("CAPABILITY")[0][0].split()
        for word in ("METADATA", "LIST-METADATA"):
            contains(words, word)
        check(any(w.startswith("MESSAGELIMIT=") for w in words), "MESSAGELIMIT is announced")
        t.command("DELETE Meta")
        t.command("DELETE Meta2")
        t.ok("CREATE Meta")
        t.ok('SETMETADATA Meta (/private/comment "mine" /shared/vendor/x/color "#b71c1c")')
        contains(joined(other.ok("GETMETADATA Meta (DEPTH infinity) /shared")), '/shared/vendor/x/color "#b71c1c"')
        t.ok("RENAME Meta Meta2")
        contains(joined(other.ok('LIST "" Meta2 RETURN (METADATA (/private/comment))')), '(/private/comment "mine")')
        t.ok('SETMETADATA Meta2 (/private/specialuse "\\\\Archive")')
        contains(joined(other.ok('LIST "" Meta2')), "\\Archive")
        t.ok("DELETE Meta2")
        t.ok("CREATE Meta2")
        contains(joined(other.ok("GETMETADATA Meta2 /private/comment")), "/private/comment NIL")
        t.ok("DELETE Meta2")


def test_preview_and_ids(h):
    with fresh(h, "Items") as t:
        t.append(TEXT, "Items")
        t.ok("NOOP")
        one = t.fetch(1, "(PREVIEW SAVEDATE EMAILID THREADID BINARY.SIZE[1])")[1]
        text = text_of(one)
        contains(text, "你好，世界")
        contains(text, "SAVEDATE \"")
        contains(text, "BINARY.SIZE[1] 10")
        email = text.split("EMAILID (")[1].split(")")[0]
        box = joined(t.ok("STATUS Items (MAILBOXID)")).split("MAILBOXID (")[1].split(")")[0]
        t.command("DELETE Items2")
        t.ok("COPY 1 INBOX")
        t.ok("RENAME Items Items2")
        contains(joined(t.ok("STATUS Items2 (MAILBOXID)")), box, "the id after RENAME")
        contains(joined(t.ok("EXAMINE Items2")), f"[MAILBOXID ({box})]")
        contains(joined(t.ok("SELECT INBOX")), "[MAILBOXID (")
        last = joined(t.ok("SEARCH SUBJECT items")).split()[-1]
        contains(text_of(t.fetch(last, "(EMAILID)")[1]), email, "the copy's id")
        t.ok("DELETE Items2")
        t.ok("CREATE Items2")
        check(box not in joined(t.ok("STATUS Items2 (MAILBOXID)")), "a mailbox made again has an id of its own")
        t.ok("DELETE Items2")
        equal(t.command("NOOP")[0][:2], "OK")


def test_append_family(h):
    with fresh(h, "Many") as t:
        tag = t.start(b"APPEND Many (\\Seen) {%d+}\r\n%s {3+}\r\nabc" % (len(TEXT), TEXT))
        contains(t.finish(tag)[0], " 1:2] ")
        big = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 100000
        tag = t.start(b"APPEND Many {%d+}\r\n%s ~{%d+}\r\n%s {3+}\r\nxyz" % (len(big), big, len(big), big))
        contains(t.finish(tag)[0], " 3:5] ")
        t.ok("NOOP")
        for n in (3, 4):
            equal(t.body(n) == big, True, "a large message among several")
        tag = t.start(b"APPEND Many CATENATE (URL /Many/;UID=4 TEXT {3+}\r\nend)")
        contains(t.finish(tag)[0], " 6] ")
        t.ok("NOOP")
        equal(t.body(6) == big + b"end", True, "a large message and a piece")
        tag = t.start(b"REPLACE 6 Many {3+}\r\nnew")
        untagged = joined(t.finish(tag)[1])
        contains(untagged, "* 6 EXPUNGE")
        contains(untagged, "[APPENDUID ")
        equal(t.body(6), b"new")
        t.no(b"APPEND Many CATENATE (URL /Many/;UID=6)", "BADURL")


class Deflated(imaplib.IMAP4):
    """imaplib with COMPRESS=DEFLATE: what it reads and sends goes through zlib."""

    def compress(self):
        typ, data = self.xatom("COMPRESS", "DEFLATE")
        equal(typ, "OK", "COMPRESS")
        plain, self.coder, self.decoder, self.have = self.file, zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15), b""
        self.saved, self.came, self.got = plain, 0, 0

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise OSError("the connection ended")
        plain = self.decoder.decompress(piece)
        self.came += len(piece)
        self.got += len(plain)
        self.have += plain

    def read(self, size):
        if not hasattr(self, "coder"):
            return super().read(size)
        while len(self.have) < size:
            self.more()
        out, self.have = self.have[:size], self.have[size:]
        return out

    def readline(self):
        if not hasattr(self, "coder"):
            return super().readline()
        while b"\n" not in self.have:
            self.more()
        out, _, self.have = self.have.partition(b"\n")
        return out + b"\n"

    def send(self, data):
        if not hasattr(self, "coder"):
            return super().send(data)
        return super().send(self.coder.compress(data) + self.coder.flush(zlib.Z_SYNC_FLUSH))


def test_compress(h):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for tls in (False, True):
        m = Deflated("127.0.0.1", h.ports["imap"])
        if tls:
            m.starttls(context)
        m.login("alice", h.users["alice"])
        m.create("Deflated")
        m.compress()
        contains(str(m.xatom("COMPRESS", "DEFLATE")), "COMPRESSIONACTIVE")
        equal(m.select("Deflated")[0], "OK")
        big = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 200000
        equal(m.append("Deflated", None, None, big)[0], "OK")
        equal(m.noop()[0], "OK")
        equal(m.fetch("1", "(BODY.PEEK[])")[1][0][1] == big, True, "the message through both ways")
        check(m.came * 20 < m.got, "compressed:", m.came, "of", m.got)
        for _ in range(50):
            equal(m.noop()[0], "OK")
        m.store("1:*", "+FLAGS", "\\Deleted")
        m.close()
        m.delete("Deflated")
        m.logout()


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
