"""Every answer of IMAP against the formal syntax of RFC 3501 and RFC 9051 (section 9 of both) and of the extensions.

A parser as strict as the grammar reads all that the server says; some thousand commands, right and wrong, from
sessions that change the same mailboxes, make it talk. The seed is fixed: a failure can be had again.
"""
import random
import re
import sys

from harness import Wrong, check, contains, equal, joined, main, shorten

SEED, COMMANDS = 20240501, 5000
LIMIT = 1000  # messages of one command

ATOM_NOT = set(b'(){ %*"\\]') | set(range(0x20)) | set(range(0x7f, 256))
SYSTEM_FLAGS = {b"\\answered", b"\\flagged", b"\\deleted", b"\\seen", b"\\draft"}
STATUS_ITEMS = {b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"DELETED", b"SIZE", b"APPENDLIMIT",
                b"MAILBOXID", b"DELETED-STORAGE", b"HIGHESTMODSEQ"}
LIST_ATTRIBUTES = {b"\\noselect", b"\\nonexistent", b"\\haschildren", b"\\hasnochildren", b"\\subscribed", b"\\noinferiors",
                   b"\\marked", b"\\unmarked", b"\\all", b"\\archive", b"\\drafts", b"\\flagged", b"\\junk", b"\\sent",
                   b"\\trash", b"\\important", b"\\remote", b"\\noaccess"}
PLAIN_CODES = {b"ALERT", b"PARSE", b"READ-ONLY", b"READ-WRITE", b"TRYCREATE", b"UIDNOTSTICKY", b"CLOSED", b"NOTSAVED",
               b"ALREADYEXISTS", b"NONEXISTENT", b"AUTHENTICATIONFAILED", b"AUTHORIZATIONFAILED", b"UNAVAILABLE",
               b"PRIVACYREQUIRED", b"LIMIT", b"OVERQUOTA", b"CANNOT", b"INUSE", b"EXPUNGEISSUED", b"CORRUPTION",
               b"SERVERBUG", b"CLIENTBUG", b"HASCHILDREN", b"NOPERM", b"CONTACTADMIN", b"EXPIRED", b"UNKNOWN-CTE",
               b"TOOBIG", b"USEATTR", b"UIDREQUIRED", b"NOTIFICATIONOVERFLOW"}
RIGHTS = b"lrswipkxtecda"
NOTIFY_EVENTS = [b"MessageNew", b"MessageExpunge", b"FlagChange", b"AnnotationChange", b"MailboxName", b"SubscriptionChange",
                 b"MailboxMetadataChange", b"ServerMetadataChange"]


class Grammar:
    """A cursor over one whole response."""

    def __init__(self, data, rev2):
        self.data, self.at, self.rev2 = data, 0, rev2

    def fail(self, wanted):
        raise Wrong(f"the grammar wants {wanted} at {self.at}: {shorten(self.data[:self.at])} >>> "
                    f"{shorten(self.data[self.at:])}")

    def peek(self, text):
        return self.data[self.at:self.at + len(text)].upper() == text.upper()

    def maybe(self, text):
        if self.peek(text):
            self.at += len(text)
            return True
        return False

    def want(self, text):
        if not self.maybe(text):
            self.fail(repr(text))

    def match(self, pattern, what):
        m = re.compile(pattern, re.S).match(self.data, self.at)
        if not m:
            self.fail(what)
        self.at = m.end()
        return m.group(0)

    def number(self, least=0, most=2 ** 32 - 1):
        text = self.match(rb"[0-9]+", "a number")
        n = int(text)
        if not least <= n <= most or (len(text) > 1 and text[0:1] == b"0"):
            self.fail(f"a number of {least} to {most}, got {text!r}")
        return n

    def atom(self):
        start = self.at
        while self.at < len(self.data) and self.data[self.at] not in ATOM_NOT:
            self.at += 1
        if self.at == start:
            self.fail("an atom")
        return self.data[start:self.at]

    def quoted(self):
        out = bytearray()
        self.want(b'"')
        while True:
            c = self.data[self.at:self.at + 1]
            self.at += 1
            if c == b'"':
                break
            if c == b"\\":
                c = self.data[self.at:self.at + 1]
                self.at += 1
                if c not in (b'"', b"\\"):
                    self.fail("an escaped quote or backslash")
            if c in (b"", b"\r", b"\n", b"\0") or (c[0] > 127 and not self.rev2):
                self.fail("a character of a quoted string")
            out += c
        if self.rev2:
            out.decode("utf-8")
        return bytes(out)

    def literal(self, binary=False):
        if binary:
            self.want(b"~")
        self.want(b"{")
        n = self.number(0, 2 ** 63)
        self.want(b"}\r\n")
        text = self.data[self.at:self.at + n]
        if len(text) < n or (b"\0" in text and not binary):
            self.fail("the octets of a literal, without NUL")
        self.at += n
        return text

    def string(self):
        return self.quoted() if self.peek(b'"') else self.literal()

    def nstring(self):
        return None if self.maybe(b"NIL") else self.string()

    def astring(self):
        if self.peek(b'"') or self.peek(b"{"):
            return self.string()
        return self.match(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+', "an astring")

    def mailbox(self):
        name = self.astring()
        if not self.rev2:
            for run in re.findall(rb"&([^-]*)-", name):
                if run and not re.fullmatch(rb"[A-Za-z0-9+,]+", run):
                    self.fail("modified UTF-7")
            if re.search(rb"[^\x20-\x7e]", name) or re.search(rb"&[^-]*$", name):
                self.fail("modified UTF-7")
        return name

    def many(self, one, least=0, blank=True):
        """one() in parentheses, blanks between."""
        got = []
        self.want(b"(")
        while not self.maybe(b")"):
            if got and blank:
                self.want(b" ")
            got.append(one())
        if len(got) < least:
            self.fail(f"a list of at least {least}")
        return got

    def flag(self, star=False):
        if self.peek(b"\\"):
            if star and self.maybe(b"\\*"):
                return b"\\*"
            self.want(b"\\")
            name = b"\\" + self.atom()
            if name.lower() not in SYSTEM_FLAGS:
                self.fail("a system flag")
            return name
        return self.atom()

    def flags(self, star=False):
        got = self.many(lambda: self.flag(star))
        check(len(set(f.lower() for f in got)) == len(got), "a flag twice:", got)
        return got

    def sequence(self, star=False):
        count = 0
        while True:
            first = self.number(1)
            last = self.number(1) if self.maybe(b":") else first
            count += abs(last - first) + 1
            if not self.maybe(b","):
                return count

    # ---- status ----

    def resp_text(self):
        code = None
        if self.maybe(b"["):
            code = self.code()
            self.want(b"] ")
        self.match(rb"[^\x00\r\n\x80-\xff]+", "a text")
        return code

    def code(self):
        name = self.atom().upper()
        if name in PLAIN_CODES:
            return name
        if name in (b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN"):
            self.want(b" ")
            self.number(1)
        elif name == b"HIGHESTMODSEQ":
            self.want(b" ")
            self.number(1, 2 ** 63)
        elif name == b"MODIFIED":
            self.want(b" ")
            self.sequence()
        elif name == b"CAPABILITY":
            self.want(b" ")
            self.capabilities()
        elif name == b"PERMANENTFLAGS":
            self.want(b" ")
            self.flags(True)
        elif name == b"BADCHARSET":
            if self.maybe(b" "):
                self.many(self.astring, 1)
        elif name == b"INPROGRESS":
            self.match(rb' \("[^"\\]+" [0-9]+ [0-9]+\)', "tag, done and all")
        elif name == b"BADURL":
            self.match(rb" [\x21-\x5c\x5e-\x7e]+", "a URL")
        elif name == b"MAILBOXID":
            self.want(b" ")
            self.objectid()
        elif name == b"MESSAGELIMIT":
            self.want(b" ")
            self.number(1)
            if self.maybe(b" "):
                self.number(1)
        elif name == b"METADATA":
            if not self.maybe(b" TOOMANY") and not self.maybe(b" NOPRIVATE"):
                self.match(b" (LONGENTRIES|MAXSIZE) ", "what of METADATA")
                self.number()
        elif name == b"BADEVENT":
            self.want(b" ")
            got = self.many(self.atom, 1)
            check(set(got) < set(NOTIFY_EVENTS) and len(set(got)) == len(got), "events:", got)
        elif name == b"APPENDUID":
            self.match(rb" [1-9][0-9]* [1-9][0-9]*(:[1-9][0-9]*)?", "UIDVALIDITY and UIDs")
        elif name == b"COPYUID":
            self.match(rb" [1-9][0-9]* ", "UIDVALIDITY")
            source = self.sequence()
            self.want(b" ")
            equal(self.sequence(), source, "as many UIDs as were copied")
        else:
            self.fail("a response code that is known")
        return name

    def objectid(self):
        self.match(rb"\([A-Za-z0-9_-]{1,255}\)", "an object id")

    def capabilities(self):
        got = [self.atom()]
        while self.maybe(b" "):
            got.append(self.atom())
        check(b"IMAP4rev1" in got and b"IMAP4rev2" in got, got)
        check(len(set(got)) == len(got), "a capability twice", got)

    # ---- envelope and structure ----

    def address(self):
        self.want(b"(")
        parts = []
        for i in range(4):
            if i:
                self.want(b" ")
            parts.append(self.nstring())
        self.want(b")")
        name, route, box, host = parts
        if host is None:
            check(name is None and route is None, "a group's begin and end have neither name nor route:", parts)
        else:
            check(box is not None, "a mailbox name is NIL in", parts)
        return parts

    def addresses(self):
        if self.maybe(b"NIL"):
            return
        open_group = False
        for _, _, box, host in self.many(self.address, 1, blank=False):
            if host is None:
                check((box is not None) != open_group, "groups begin and end in turn")
                open_group = box is not None
        check(not open_group, "a group without its end")

    def envelope(self):
        self.want(b"(")
        self.nstring()
        self.want(b" ")
        self.nstring()
        for _ in range(6):
            self.want(b" ")
            self.addresses()
        self.want(b" ")
        self.nstring()
        self.want(b" ")
        self.nstring()
        self.want(b")")

    def params(self):
        if not self.maybe(b"NIL"):
            got = self.many(self.string, 2)
            check(len(got) % 2 == 0, "parameters come in pairs:", got)

    def extension(self, extended):
        """disposition, language, location; then nothing that this server has"""
        if not extended:
            return
        self.want(b" ")
        if not self.maybe(b"NIL"):
            self.want(b"(")
            self.string()
            self.want(b" ")
            self.params()
            self.want(b")")
        self.want(b" ")
        if self.peek(b"("):
            self.many(self.string, 1)
        else:
            self.nstring()
        self.want(b" ")
        self.nstring()

    def body(self, extended):
        self.want(b"(")
        if self.peek(b"("):
            while self.peek(b"("):
                self.body(extended)
            self.want(b" ")
            self.string()
            if extended:
                self.want(b" ")
                self.params()
        else:
            kind = self.string().lower()
            self.want(b" ")
            subtype = self.string().lower()
            self.want(b" ")
            self.params()
            for _ in range(2):
                self.want(b" ")
                self.nstring()
            self.want(b" ")
            self.string()
            self.want(b" ")
            self.number()
            if kind == b"message" and subtype in (b"rfc822", b"global"):  # RFC 9051's form, for all sessions
                self.want(b" ")
                self.envelope()
                self.want(b" ")
                self.body(extended)
                self.want(b" ")
                self.number(0, 2 ** 63)
            elif kind == b"text":
                self.want(b" ")
                self.number(0, 2 ** 63)
            if extended:
                self.want(b" ")
                self.nstring()
        self.extension(extended)
        self.want(b")")

    # ---- FETCH ----

    def section(self):
        path = rb"[1-9][0-9]*(\.[1-9][0-9]*)*"
        m = re.compile(rb"\[(" + path + rb"(\.(HEADER|TEXT|MIME))?|HEADER|TEXT|)\](<[0-9]+>)?").match(self.data, self.at)
        if m:
            self.at = m.end()
            return
        self.match(rb"\[(" + path + rb"\.)?HEADER\.FIELDS(\.NOT)? ", "a section")
        self.many(self.astring, 1)
        self.match(rb"\](<[0-9]+>)?", "the section's end")

    def fetch_item(self):
        name = self.match(rb"BODY(?=\[)|BINARY(\.SIZE)?(?=\[)|[A-Z0-9.]+", "an item of FETCH")
        if name in (b"BODY", b"BINARY", b"BINARY.SIZE") and self.peek(b"["):
            if name == b"BODY":
                self.section()
            else:
                self.match(rb"\[([1-9][0-9]*(\.[1-9][0-9]*)*)?\](<[0-9]+>)?", "a section of numbers")
            self.want(b" ")
            if name == b"BINARY.SIZE":
                self.number(0, 2 ** 63)
            elif name == b"BINARY" and self.peek(b"~"):
                self.literal(True)
            else:
                self.nstring()
            return name + b"[]"
        self.want(b" ")
        if name == b"FLAGS":
            self.flags()
        elif name == b"UID":
            self.number(1)
        elif name == b"RFC822.SIZE":
            self.number(0, 2 ** 63)
        elif name == b"MODSEQ":
            self.want(b"(")
            self.number(1, 2 ** 63)
            self.want(b")")
        elif name == b"INTERNALDATE":
            self.match(rb'"[ 0-3][0-9]-(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-[0-9]{4} '
                       rb'[0-2][0-9]:[0-5][0-9]:[0-6][0-9] [-+][0-9]{4}"', "a date-time")
        elif name == b"ENVELOPE":
            self.envelope()
        elif name in (b"BODY", b"BODYSTRUCTURE"):
            self.body(name == b"BODYSTRUCTURE")
        elif name in (b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT"):
            self.nstring()
        elif name == b"PREVIEW":
            self.nstring()
        elif name == b"SAVEDATE":
            self.match(rb'NIL|"[ 0-3][0-9]-[A-Z][a-z][a-z]-[0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] [-+][0-9]{4}"', "a date-time")
        elif name == b"EMAILID":
            self.objectid()
        elif name == b"THREADID":
            if not self.maybe(b"NIL"):
                self.objectid()
        else:
            self.fail("an item of FETCH")
        return name

    # ---- untagged ----

    def list_response(self, lsub):
        seen = [a.lower() for a in self.many(lambda: self.match(rb"\\[A-Za-z]+", "an attribute"))]
        check(set(seen) <= LIST_ATTRIBUTES and len(set(seen)) == len(seen), "attributes of LIST:", seen)
        check(not {b"\\haschildren", b"\\hasnochildren"} <= set(seen), "both at once:", seen)
        self.match(rb' "/" ', "the separator")
        name = self.mailbox()
        check(name == b"INBOX" or name.lower() != b"inbox", name)
        if not lsub and self.maybe(b" "):
            got = self.many(self.list_extension, 1)
            check(len(set(got)) == len(got), "extended data of LIST twice", got)

    def list_extension(self):
        """RFC 5258 6, and OLDNAME of RFC 9051 and 5465."""
        if self.maybe(b'"OLDNAME" ('):
            self.mailbox()
            self.want(b")")
            return b"OLDNAME"
        return self.match(rb'"CHILDINFO" \("SUBSCRIBED"\)', "extended data of LIST")

    # ---- rights and metadata ----

    def rights(self, all_of=RIGHTS):
        got = self.astring()
        check(set(got) <= set(all_of) and len(set(got)) == len(got), "rights:", got)
        return got

    def acl(self, name):
        """RFC 4314 4. The virtual c and d are there when a right they stand for is (2.1.1)."""
        self.want(b" ")
        self.mailbox()
        if name == b"ACL":
            seen = []
            while self.maybe(b" "):
                seen.append(self.astring())
                self.want(b" ")
                self.virtual(self.rights())
            check(len(set(seen)) == len(seen), "an identifier twice in ACL", seen)
            return
        self.want(b" ")
        if name == b"MYRIGHTS":
            self.virtual(self.rights())
            return
        self.astring()
        self.want(b" ")
        got = self.rights()
        while self.maybe(b" "):
            more = self.rights()
            check(more and not set(more) & set(got), "a right twice in LISTRIGHTS", more, got)
            got += more
        check(set(got) in (set(), set(RIGHTS)), "LISTRIGHTS names some of the rights", got)

    def virtual(self, got):
        for virtual, of in (b"c", b"kx"), (b"d", b"te"):
            equal(virtual in got, any(bytes([c]) in got for c in of), f"{virtual} of {got}")

    def entry(self):
        name = self.astring()
        check(re.fullmatch(rb"/(private|shared)(/[!-$&-)+-.0-~ ]+)*", name, re.I), "the name of an entry:", name)
        return name.lower()

    def metadata(self):
        """RFC 5464 5: entries with values, or names alone, which nobody asked for."""
        self.want(b" ")
        if not self.maybe(b'""'):
            self.mailbox()
        self.want(b" ")
        if not self.peek(b"("):
            self.entry()
            while self.maybe(b" "):
                self.entry()
            return False
        got = []
        self.want(b"(")
        while not got or self.maybe(b" "):
            got.append(self.entry())
            self.want(b" ")
            if self.peek(b"~"):
                self.literal(True)
            else:
                self.nstring()
        self.want(b")")
        return True

    def thread(self, top=True):
        """RFC 5256 5: numbers of one line of answers, then lists of at least two, or of one that is all there is."""
        self.want(b"(")
        numbers, lists = 0, 0
        while not self.maybe(b")"):
            if self.peek(b"("):
                self.thread(False)
                lists += 1
                continue
            check(lists == 0, "a number behind a list in THREAD")
            if numbers:
                self.want(b" ")
            self.number(1)
            numbers += 1
            if self.peek(b" ("):
                self.want(b" ")
        check(numbers or lists > 1, "an empty or needless list of THREAD", self.data)

    def esearch(self, tag):
        self.want(b' (TAG "')
        self.want(tag)
        self.want(b'"')
        if self.maybe(b" MAILBOX "):
            self.mailbox()
            self.want(b" UIDVALIDITY ")
            self.number(1)
        self.want(b")")
        uid, got = self.maybe(b" UID"), {}
        while self.at < len(self.data):
            self.want(b" ")
            name = self.atom()
            self.want(b" ")
            check(name not in got, "twice:", name)
            if name in (b"MIN", b"MAX"):
                got[name] = self.number(1)
            elif name == b"COUNT":
                got[name] = self.number()
            elif name == b"MODSEQ":
                got[name] = self.number(1, 2 ** 63)
            elif name == b"ALL":
                got[name] = self.sequence()
            elif name == b"PARTIAL":
                self.match(rb"\(-?[1-9][0-9]*:-?[1-9][0-9]* ", "a page")
                got[name] = None if self.maybe(b"NIL") else self.sequence()
                self.want(b")")
            else:
                self.fail("a result of ESEARCH")
        if b"COUNT" in got and b"ALL" in got:
            equal(got[b"ALL"], got[b"COUNT"], "COUNT beside ALL")
        return uid

    def untagged(self, tag):
        """Returns (name, number or None, items or None)."""
        m = re.compile(rb"([0-9]+) (EXISTS|RECENT|EXPUNGE|UIDFETCH|FETCH)").match(self.data, self.at)
        if m:
            n = self.number(0 if m.group(2) in (b"EXISTS", b"RECENT") else 1)
            self.at = m.end()
            items = None
            if m.group(2) in (b"FETCH", b"UIDFETCH"):
                self.want(b" ")
                items = self.many(self.fetch_item, 1)
            return m.group(2), n, items
        name, value = self.atom(), None
        if name in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"):
            self.want(b" ")
            value = self.resp_text()
        elif name == b"CAPABILITY":
            self.want(b" ")
            self.capabilities()
        elif name == b"ENABLED":
            while self.maybe(b" "):
                self.atom()
        elif name == b"FLAGS":
            self.want(b" ")
            self.flags()
        elif name in (b"LIST", b"LSUB"):
            self.want(b" ")
            self.list_response(name == b"LSUB")
        elif name == b"STATUS":
            self.want(b" ")
            self.mailbox()
            self.want(b" ")
            got = self.many(lambda: self.match(rb"MAILBOXID \([A-Za-z0-9_-]{1,255}\)|[A-Z-]+ [0-9]+", "a STATUS item").split()[0])
            check(set(got) <= STATUS_ITEMS and len(set(got)) == len(got), got)
        elif name == b"SEARCH":
            check(not self.rev2, "IMAP4rev2 has no SEARCH response")
            while self.maybe(b" "):
                if self.maybe(b"(MODSEQ "):
                    self.number(1, 2 ** 63)
                    self.want(b")")
                    break
                self.number(1)
        elif name == b"SORT":
            while self.maybe(b" "):
                if self.maybe(b"(MODSEQ "):
                    self.number(1, 2 ** 63)
                    self.want(b")")
                    break
                self.number(1)
        elif name == b"THREAD":
            if self.maybe(b" "):
                while self.at < len(self.data):
                    self.thread()
        elif name == b"VANISHED":
            self.want(b" ")
            value = (self.maybe(b"(EARLIER) "), self.sequence())
        elif name == b"ESEARCH":
            value = self.esearch(tag)
        elif name == b"ID":
            self.want(b" ")
            if not self.maybe(b"NIL"):
                check(len(self.many(lambda: self.nstring() or b"")) % 2 == 0, "pairs")
        elif name == b"QUOTAROOT":
            self.want(b" ")
            self.mailbox()
            self.maybe(b' ""')
        elif name == b"QUOTA":
            self.match(rb' "" \(STORAGE [0-9]+ [0-9]+\)', "a quota")
        elif name == b"NAMESPACE":
            self.match(rb' \(\("" "/"\)\) (NIL|\(\("Other Users/" "/"\)\)) NIL', "namespaces")
        elif name in (b"ACL", b"MYRIGHTS", b"LISTRIGHTS"):
            self.acl(name)
        elif name == b"METADATA":
            value = self.metadata()
        else:
            self.fail("a response that is known")
        return name, value, None


class Session:
    """Speaks, reads whole responses, and keeps count of messages as RFC 3501 7.3 and 7.4.1 have it."""

    def __init__(self, house, rev2, tag, qresync=False, uidonly=False, user="alice"):
        if not hasattr(house, "said"):
            house.said = set()  # responses and codes
        self.house, self.rev2_wanted, self.tag_char, self.n = house, rev2, tag, 0
        self.qresync, self.uidonly, self.user = qresync, uidonly, user
        self.talk, self.home = None, b"box"
        self.open()

    def open(self):
        self.talk = self.house.imap(self.user)
        self.rev2, self.exists, self.selected = False, 0, False
        self.notified = False  # NOTIFY was set: there is news of other mailboxes
        self.at_once = False  # and of the selected one, even when a command is on its way (RFC 5465 5.3)
        if self.rev2_wanted:
            self.run(b"ENABLE IMAP4rev2")
            self.rev2 = True
        if self.qresync:
            self.run(b"ENABLE QRESYNC")
        if self.uidonly:
            self.run(b"ENABLE UIDONLY")

    def response(self):
        data = b""
        while True:
            line = self.talk.line().encode("utf-8", "surrogateescape")
            data += line
            m = re.search(rb"\{([0-9]+)\}$", line)
            if not m:
                return data
            data += b"\r\n" + self.talk.exact(int(m.group(1)))

    def run(self, command, parts=()):
        """One command; parts: literals in it with what follows each. Returns status, code, what was untagged."""
        self.n += 1
        tag = b"%s%d" % (self.tag_char, self.n)
        self.talk.send(tag + b" " + command + b"\r\n")
        verb = command.upper().split(b" ")
        by_uid = verb[0] == b"UID"
        verb = verb[1] if by_uid and len(verb) > 1 else verb[0]
        parts, got, bye = list(parts), [], False
        while True:
            data = self.response()
            g = Grammar(data, self.rev2)
            if g.maybe(b"+ "):
                g.resp_text()
                check(parts, "a continuation that nothing asked for", data)
                self.talk.send(parts.pop(0) + b"\r\n")
            elif g.maybe(b"* "):
                name, value, items = g.untagged(tag)
                got.append((name, value, items))
                self.house.said.add(name)
                self.count(name, value, items, verb, by_uid, command)
                bye |= name == b"BYE"
            else:
                g.want(tag + b" ")
                status = g.match(rb"OK|NO|BAD", "OK, NO or BAD")
                g.want(b" ")
                code = g.resp_text()
                self.house.said.add(code)
            if g.at != len(data):
                g.fail("the end")
            if data.startswith(tag + b" "):
                break
            if bye and verb != b"LOGOUT":
                self.open()
                return b"BYE", None, got
        if verb == b"NOTIFY" and status == b"OK":
            self.notified, self.at_once = True, b"(SELECTED " in command.upper()
        self.after(verb, status, got)
        return status, code, got

    def count(self, name, value, items, verb, by_uid, command):
        if name == b"EXISTS":
            check(verb in (b"SELECT", b"EXAMINE") or value >= self.exists, "EXISTS went down:", self.exists, value)
            self.exists = value
        elif name == b"VANISHED":
            earlier, n = value
            check(self.qresync or self.uidonly, "VANISHED that was not asked for")
            check(earlier or self.at_once or by_uid or verb not in (b"FETCH", b"STORE", b"SEARCH"), "VANISHED during", command)
            check(earlier or n <= self.exists, "VANISHED of more than there is", n, self.exists)
            self.exists -= 0 if earlier else n
        elif name == b"EXPUNGE":
            check(not self.qresync and not self.uidonly, "EXPUNGE after ENABLE QRESYNC or UIDONLY")
            check(self.at_once or by_uid or verb not in (b"FETCH", b"STORE", b"SEARCH"), "EXPUNGE during", command)
            check(value <= self.exists, "EXPUNGE of a number that is not there", value, self.exists)
            self.exists -= 1
        elif name == b"UIDFETCH":
            check(self.uidonly, "UIDFETCH that was not asked for")
        elif name == b"FETCH":
            check(not self.uidonly, "FETCH after ENABLE UIDONLY")
            check(value <= self.exists, "FETCH of a number that is not there", value, self.exists)
            check(len(set(items)) == len(items) or any(b"[]" in i for i in items), "an item twice:", items)
            check(not by_uid or b"UID" in items, "no UID in an answer to", command)
        elif name == b"METADATA":
            check(value or self.notified, "names of entries that nobody asked for")
            check(not value or verb in (b"GETMETADATA", b"LIST"), "METADATA in answer to", command)
        elif name in (b"ACL", b"LISTRIGHTS", b"MYRIGHTS"):
            check(verb == (b"GET" + name if name == b"ACL" else name) or verb == b"LIST", name, "in answer to", command)
        elif name == b"ESEARCH":
            equal(value, by_uid or verb == b"ESEARCH", "UID of ESEARCH")
        elif name in (b"SORT", b"THREAD"):
            check(not self.uidonly or by_uid, "numbers under UIDONLY")

    def after(self, verb, status, got):
        names = [name for name, _, _ in got]
        if verb in (b"SELECT", b"EXAMINE") and status != b"BAD":
            self.selected = status == b"OK"
            for name in (b"FLAGS", b"EXISTS") if self.selected else ():
                check(name in names, "SELECT does not say", name)
            if self.selected:
                equal(b"RECENT" in names, not self.rev2, "RECENT")
                check(self.notified or (b"LIST" in names) == self.rev2, "LIST")
        if verb in (b"CLOSE", b"UNSELECT") and status == b"OK":
            self.selected = False
        if not self.selected:
            self.exists = 0
            if verb not in (b"CLOSE", b"UNSELECT", b"SELECT", b"EXAMINE"):
                check(not {b"EXISTS", b"EXPUNGE", b"VANISHED", b"FETCH", b"UIDFETCH"} & set(names), "news without a mailbox:", names)


# ---- messages that are hard to describe ----

MESSAGES = [
    b"Subject: plain\r\nFrom: a@example.org\r\n\r\nbody\r\n",
    b"\r\n", b"\r\nno header\r\n", b"Subject: no body\r\n", b"no colon here\r\n\r\nx", b"A: b\r\n\r\n",
    b"Subject: \xff\xfe raw \xe4\r\nFrom: \xe4 <\xe4@\xe4>\r\nTo: group: a@b, \"c\\\"d\" <e@f>;, g@h\r\nCc: open: a@b\r\n"
    b"Bcc: ;\r\nReply-To: @r,@s:t@u\r\nSender: \"\\\\\" <nodomain>\r\nMessage-ID: <>\r\nDate: never\r\n\r\n\xff\0\xfe",
    b"Subject:" + b" long" * 400 + b"\r\nContent-Type: text/plain; name=\"" + b"q\\\"" * 600 + b"\"\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: in\r\nContent-Type: multipart/alternative; boundary=\"c d\"\r\n\r\n--c d\r\n\r\nx\r\n--c d\r\n"
    b"Content-Type: text/html; charset=\"\"\r\nContent-Language: en, de\r\nContent-Location: here\r\nContent-MD5: m\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''%e4%bd%a0; x\r\nContent-ID: <i>\r\nContent-Description: \"d\r\n\r\n"
    b"y\r\n--c d--\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64 (c)\r\n\r\nAAAA\r\n--b--\r\npost",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno part at all\r\n",
    b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: d1\r\n\r\nx\r\n--b\r\n\r\n--b--\r\n",
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/rfc822",
    b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5DQo=\r\n",
    b"Content-Type: message/global\r\n\r\nSubject: \xc3\xa4\r\n\r\nx\r\n",
    b"Content-Type: message/partial; id=x; number=1\r\n\r\nSubject: p\r\n\r\nx\r\n",
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n",
    b"Content-Type: text\r\nContent-Disposition: ; a=b\r\nContent-Language: ,\r\n\r\nx\r\n",
    b"Content-Type: ;;;\r\nContent-Transfer-Encoding: \r\n\r\nx\r\n", b"Content-Type: a/b; =; x=; \"y\"=z\r\n\r\nx\r\n",
    b"Content-Type: TEXT/PLAIN; x=\"\xff\"; y=\"\0\"\r\nContent-Transfer-Encoding: x-unknown\r\n\r\nx\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=00=01=ff=\r\n",
    b"Content-Type: message/rfc822\r\n\r\n" * 60 + b"Subject: deep\r\n\r\nx\r\n",
    b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(60)) + b"\r\nx\r\n",
    b"From: " + b", ".join(b"n%d <a%d@b>" % (i, i) for i in range(300)) + b"\r\n\r\nx",
    b"Subject: bare\nFrom: lf@example.org\n\nbody\nbody\n",
]

BOXES = [b"box", b"box", b"box/child", b"INBOX", b"inbox", b"other", b'"two words"', b"&AOQ-", b"gone/below", b'"quote\\"d"',
         b'"Other Users/bob@example.test/box"', b'"Other Users/alice@example.test/box"', b'"Other Users/bob@example.test"']


class Maker:
    """Commands, most of them right."""

    def __init__(self, random_):
        self.r = random_
        self.validity = 1

    def one(self, *choices):
        return self.r.choice(choices)

    def some(self, choices, most=4):
        return b" ".join(self.r.choice(choices) for _ in range(self.r.randint(1, most)))

    def set(self):
        n = [self.one(b"1", b"2", b"3", b"5", b"*", b"7:*", b"*:1", b"1:*", b"2:4", b"4294967295", b"$") for _ in range(3)]
        return self.one(n[0], n[0], b"1:*", b",".join(x for x in n if x != b"$") or b"1", b"$")

    def box(self):
        return self.r.choice(BOXES)

    def flags(self):
        flags = [b"\\Seen", b"\\Deleted", b"\\Flagged", b"\\answered", b"\\DRAFT", b"$Forwarded", b"custom", b"$Junk"]
        return b"(" + b" ".join(self.r.sample(flags, self.r.randint(0, 4))) + b")"

    def section(self):
        part = self.one(b"", b"", b"1", b"2", b"1.1", b"2.1", b"2.2", b"1.1.1.1", b"9.9", b"4294967295")
        text = self.one(b"", b"", b"HEADER", b"TEXT", b"header.fields (Subject FROM)", b'HEADER.FIELDS.NOT ("x y" to)',
                        b'HEADER.FIELDS ("Cc\xff")' if self.r.random() < .3 else b"HEADER", b"MIME" if part else b"TEXT")
        where = self.one(b"", b"", b"<0.10>", b"<3.1>", b"<99999999.5>", b"<0.4294967295>")
        return b"[" + (part + b"." + text if part and text else part + text) + b"]" + where

    def item(self):
        if self.r.random() < .45:
            return self.one(b"BODY.PEEK", b"BODY", b"body.peek") + self.section()
        if self.r.random() < .15:
            return self.one(b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE") + self.one(b"[]", b"[1]", b"[2.1]", b"[7]")
        return self.one(b"FLAGS", b"UID", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"INTERNALDATE", b"RFC822.SIZE", b"rfc822",
                        b"RFC822.HEADER", b"RFC822.TEXT", b"PREVIEW", b"PREVIEW (LAZY)", b"SAVEDATE", b"EMAILID", b"THREADID",
                        b"MODSEQ")

    def modseq(self):
        return self.one(b"0", b"1", b"5", b"20", b"100", b"1000", b"9223372036854775807")

    def page(self):
        return self.one(b"1:3", b"2:2", b"-1:-4", b"9:4", b"1:4294967295", b"100:200")

    def criteria(self):
        keys = [b"DATE", b"ARRIVAL", b"SUBJECT", b"FROM", b"TO", b"CC", b"SIZE", b"DISPLAYFROM", b"DISPLAYTO"]
        return b"(" + b" ".join(self.one(b"", b"REVERSE ") + k for k in self.r.sample(keys, self.r.randint(1, 3))) + b")"

    def key(self, deep=0):
        if deep < 3 and self.r.random() < .3:
            return self.one(lambda: b"NOT " + self.key(deep + 1), lambda: b"OR " + self.key(deep + 1) + b" " + self.key(deep + 1),
                            lambda: b"(" + self.key(deep + 1) + b" " + self.key(deep + 1) + b")")()
        return self.one(b"ALL", b"SEEN", b"UNSEEN", b"NEW", b"OLD", b"RECENT", b"DELETED", b"KEYWORD custom", b"UNKEYWORD $Junk",
                        b"SUBJECT plain", b'FROM ""', b"BODY body", b'TEXT "x"', b"LARGER 100", b"SMALLER 100", b"1:3", b"$",
                        b"UID 1:*", b"SINCE 1-Jan-2020", b"SENTBEFORE 01-Feb-2030", b'BEFORE "1-Jan-2000"', b"ON 1-Jan-2020",
                        b'HEADER Content-Type ""', b"UNANSWERED", b"SUBJECT {2+}\r\nin",
                        b"MODSEQ " + self.modseq(), b'MODSEQ "/flags/\\\\Seen" all ' + self.modseq())

    def acl(self):
        box = self.box()
        who = self.one(b"bob", b"anyone", b"-bob", b"alice", b"-anyone", b"nobody", b'"bob@example.test"', b"{3+}\r\nbob")
        rights = self.one(b"", b"+", b"-") + self.one(b"lrs", b"lrswite", b"la", b"kx", b"cd", b"lrswipkxtea", b"r")
        return self.one(b"SETACL " + box + b" " + who + b" " + self.one(rights, rights, b'""'), b"DELETEACL " + box + b" " + who,
                        b"GETACL " + box, b"LISTRIGHTS " + box + b" " + who, b"MYRIGHTS " + box)

    def entry(self):
        return self.one(b"/private/comment", b"/shared/comment", b"/PRIVATE/Comment", b'"/private/two words/x"', b"/shared/vendor/a/b",
                        b"/private/specialuse", b"/shared/admin", b"/private/filters/values/small", b"{15+}\r\n/shared/comment")

    def entries(self):
        return self.one(self.entry(), b"(" + self.entry() + b")", b"(" + self.entry() + b" " + self.entry() + b")")

    def metadata(self):
        box = self.one(self.box(), self.box(), b'""')
        value = self.one(b"NIL", b'"short"', b'"quote\\"d"', b'""', b"{11+}\r\nover\r\nlines", b"~{3+}\r\na\0b",
                         b"{300+}\r\n" + b"v" * 300, b"{4+}\r\n\xe4\xbd\xa0!", b"{2+}\r\n\xff!")
        options = self.one(b"(DEPTH 1) ", b"(MAXSIZE 10) ", b"(DEPTH infinity MAXSIZE 100) ", b"(maxsize 0) ", b"(DEPTH 0) ")
        return self.one(b"SETMETADATA " + box + b" (" + self.entry() + b" " + value + b")",
                        b"SETMETADATA " + box + b" (/private/comment " + value + b" /shared/x NIL)",
                        b"GETMETADATA " + box + b" " + self.entries(), b"GETMETADATA " + options + box + b" " + self.entries(),
                        b"GETMETADATA " + box + b" " + options + self.entries(),
                        b"GETMETADATA " + box + b" (DEPTH infinity) " + self.one(b"/private", b"(/shared /private)"))

    def notify(self):
        some = self.one(b"(MessageNew MessageExpunge)", b"(MessageNew MessageExpunge FlagChange)", b"NONE")
        other = self.one(b"(MailboxName SubscriptionChange)", b"(MessageNew MessageExpunge MailboxName)",
                         b"(MailboxMetadataChange ServerMetadataChange)", b"(messagenew messageexpunge flagchange mailboxname"
                         b" subscriptionchange mailboxmetadatachange servermetadatachange)")
        where = self.one(b"personal", b"inboxes", b"subscribed", b"subtree box", b"mailboxes (box INBOX other)")
        selected = self.one(b"(selected " + some + b")", b"(selected-delayed " + some + b")",
                            b"(selected (MessageNew (UID FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge))")
        return self.one(b"NOTIFY NONE", b"NOTIFY SET " + self.one(b"", b"STATUS ") + b"(" + where + b" " + other + b")",
                        b"NOTIFY SET " + selected, b"NOTIFY SET " + selected + b" (" + where + b" " + other + b")",
                        b"NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))")

    def right(self):
        uid = self.one(b"", b"UID ")
        return self.r.choice([
            lambda: uid + b"FETCH " + self.set() + b" " + self.one(b"ALL", b"FAST", b"FULL", self.item()),
            lambda: uid + b"FETCH " + self.set() + b" (" + b" ".join(self.item() for _ in range(self.r.randint(1, 5))) + b")",
            lambda: b"FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY)",
            lambda: uid + b"STORE " + self.set() + b" " + self.one(b"+", b"-", b"") + self.one(b"FLAGS ", b"flags.silent ") +
            self.flags(),
            lambda: uid + b"STORE " + self.set() + b" +FLAGS \\Deleted",
            lambda: uid + b"STORE " + self.set() + b" (UNCHANGEDSINCE " + self.modseq() + b") " +
            self.one(b"+FLAGS.SILENT ", b"FLAGS ", b"-FLAGS ") + self.flags(),
            lambda: uid + b"FETCH " + self.set() + b" (" + self.item() + b") (CHANGEDSINCE " + self.modseq() + b")",
            lambda: b"UID FETCH " + self.set() + b" FLAGS (CHANGEDSINCE " + self.modseq() + b" VANISHED)",
            lambda: b"SELECT box (CONDSTORE)", lambda: b"SELECT box (QRESYNC (%d " % self.validity + self.modseq() +
            self.one(b"", b" 1:30", b" 1:30 (1:3,5 1:3,6)", b" (2 3)") + b"))",
            lambda: uid + b"SEARCH " + self.one(b"", b"CHARSET UTF-8 ") + b" ".join(self.key() for _ in range(2)),
            lambda: uid + b"SEARCH RETURN (" + b" ".join(self.r.sample([b"MIN", b"max", b"ALL", b"COUNT", b"SAVE"],
                                                                      self.r.randint(0, 4))) + b") " + self.key(),
            lambda: uid + b"SEARCH RETURN (PARTIAL " + self.page() + self.one(b"", b" COUNT", b" MIN MAX") + b") " + self.key(),
            lambda: uid + b"SORT " + self.criteria() + self.one(b" UTF-8 ", b" us-ascii ", b" GB18030 ") + self.key(),
            lambda: uid + b"SORT RETURN (" + self.one(b"", b"ALL", b"MIN MAX COUNT", b"PARTIAL " + self.page(), b"COUNT SAVE") +
            b") " + self.criteria() + b" UTF-8 " + self.key(),
            lambda: uid + b"THREAD " + self.one(b"REFERENCES", b"ORDEREDSUBJECT", b"references") + b" UTF-8 " + self.key(),
            lambda: b"ESEARCH IN (" + self.one(b"mailboxes (box box/child)", b"personal", b"inboxes", b"subtree box", b"subscribed",
                                               b"subtree-one (box other)") + b") RETURN (" +
            self.one(b"", b"COUNT", b"MIN MAX", b"ALL COUNT") + b") " + self.one(b"ALL", b"SEEN", b"SUBJECT plain", b"LARGER 100"),
            lambda: b"UID FETCH " + self.set() + b" (FLAGS) (PARTIAL " + self.page() + b")",
            lambda: b"UID REPLACE " + self.one(b"1", b"4294967295") + b" box {8+}\r\na: b\r\n\r\n",
            lambda: b"APPEND " + self.box() + b" CATENATE (TEXT {6+}\r\na: b\r\n URL \"/box/;UID=" + self.one(b"1", b"2", b"x") +
            self.one(b"", b"/;SECTION=TEXT", b"/;SECTION=9.9", b";PARTIAL=1.2") + b"\")",
            lambda: uid + b"COPY " + self.set() + b" " + self.box(),
            lambda: uid + b"MOVE " + self.set() + b" " + self.box(),
            lambda: b"EXPUNGE", lambda: b"UID EXPUNGE " + self.set(), lambda: b"NOOP", lambda: b"CHECK", lambda: b"CAPABILITY",
            lambda: b"SELECT " + self.box(), lambda: b"EXAMINE " + self.box(), lambda: b"SELECT box", lambda: b"SELECT box",
            lambda: self.one(b"CLOSE", b"UNSELECT") if self.r.random() < .3 else b"NOOP",
            lambda: b"CREATE " + self.box(), lambda: b"CREATE box/" + self.one(b"a", b"b/c", b"child/"),
            lambda: b"CREATE s (USE (\\Sent))", lambda: self.one(b"DELETE ", b"UNSUBSCRIBE ") + self.r.choice(BOXES[2:]),
            lambda: self.one(b"DELETE box", b"CREATE box"), lambda: b"SUBSCRIBE " + self.box(),
            lambda: b"RENAME " + self.box() + b" " + self.box(), lambda: b"RENAME INBOX " + self.box(),
            lambda: b"LIST \"\" " + self.one(b"*", b"%", b"%/%", b"\"\"", b"inbox", b"box*", b"INBOX/%", b"\"%/\""),
            lambda: b"LSUB " + self.one(b'""', b"box/", b"b") + b" " + self.one(b"*", b"%", b"%/%", b'""'),
            lambda: b"LIST (" + self.some([b"SUBSCRIBED", b"SPECIAL-USE", b"REMOTE", b"SUBSCRIBED RECURSIVEMATCH"], 2) + b') "" ' +
            self.one(b"*", b"%", b"(% box/* INBOX)") + b" RETURN (" + self.some([b"CHILDREN", b"SUBSCRIBED", b"SPECIAL-USE",
                                                                                 b"STATUS (MESSAGES UIDNEXT)"]) + b")",
            lambda: b"STATUS " + self.box() + b" (" + self.some(sorted(STATUS_ITEMS)) + b")",
            lambda: b"GETQUOTAROOT " + self.box(), lambda: b'GETQUOTA ""', lambda: b'SETQUOTA "" (STORAGE 1)',
            lambda: self.acl(), lambda: self.metadata(), lambda: self.metadata(), lambda: self.notify(),
            lambda: b'LIST "" ' + self.one(b"*", b"%", b"box", b'"Other Users/*"') + b" RETURN (" +
            self.some([b"MYRIGHTS", b"METADATA " + self.entries(), b"CHILDREN", b"STATUS (MESSAGES)"], 1) + b")",
            lambda: uid + b"SEARCH " + self.one(b"UIDAFTER ", b"UIDBEFORE ") + self.one(b"1", b"3", b"4294967295") + b" " + self.key(),
            lambda: b"ID NIL", lambda: b"NAMESPACE", lambda: b'ID ("name" "x" "version" NIL)', lambda: b"ENABLE X-NOTHING",
        ])()

    def wrong(self):
        """Of a right one: something missing, doubled, changed."""
        c = self.right()
        words = c.split(b" ")
        how = self.r.randrange(7)
        at = self.r.randrange(len(words))
        if b"\r\n" in c:
            return b"FETCH"
        if how == 0:
            del words[at]
        elif how == 1:
            words.insert(at, words[at])
        elif how == 2:
            words[at] = self.one(b"(", b")", b'"', b"{", b"()", b"\xff", b"\0", b"*", b"0", b"-1", b"4294967296", b"NIL", b"%", b"\\")
        elif how == 3:
            words.append(self.one(b"x", b"()", b"1", b"(a (b", b'"'))
        elif how == 4:
            return c[:self.r.randrange(len(c) + 1)]
        elif how == 5:
            return c.replace(b" ", b"  ", 1)
        else:
            k = self.r.randrange(len(c))
            return c[:k] + bytes([self.r.choice(b'()[]{}"\\*%~\x01\x7f\x80 <>')]) + c[k + 1:]
        return b" ".join(words)


def fill(s, box):
    for m in MESSAGES:
        flags = b"(\\Seen custom)" if len(m) % 3 == 0 else b"()" if len(m) % 3 == 1 else b"(\\Draft)"
        status, code, _ = s.run(b"APPEND %s %s \" 1-Feb-2020 12:00:00 -0130\" {%d}" % (box, flags, len(m)), [m])
        equal((status, code), (b"OK", b"APPENDUID"), "APPEND")


def share(sessions):
    """Bob has something to select, and alice something of his."""
    sessions[0].run(b"SETACL box bob lrswite")
    sessions[-1].run(b"CREATE box")
    sessions[-1].run(b"SETACL box alice lrswipkxtea")


def test_generated(h):
    r = random.Random(SEED)
    maker = Maker(r)
    sessions = [Session(h, rev2, b"%c" % (97 + i)) for i, rev2 in enumerate([False, True, False])]
    sessions.append(Session(h, False, b"q", qresync=True))
    sessions.append(Session(h, True, b"u", uidonly=True))
    sessions.append(Session(h, False, b"o", user="bob"))
    sessions[-1].home = b'"Other Users/alice@example.test/box"'
    sessions[0].run(b"CREATE box")
    share(sessions)
    with h.imap("alice") as t:
        maker.validity = int(re.search(r"UIDVALIDITY (\d+)", joined(t.ok("STATUS box (UIDVALIDITY)"))).group(1))
    fill(sessions[0], b"box")
    counts = {}
    for i in range(COMMANDS):
        s = r.choice(sessions)
        if i % 400 == 399:
            while sessions[0].run(b"CREATE box")[0] == b"BYE":  # the one it had selected was deleted
                pass
            fill(sessions[0], b"box")
            share(sessions)
        if not s.selected and r.random() < .7:
            s.run(b"SELECT " + s.home)
        right = r.random() < .75
        command = maker.right() if right else maker.wrong()
        if re.search(rb"\{[0-9]+\}$", command) or command.upper().startswith((b"IDLE", b"LOGOUT", b"APPEND", b"AUTH")):
            continue
        status, _, _ = s.run(command)
        counts[right, status] = counts.get((right, status), 0) + 1
    print("  answers:", {f"{'right' if k[0] else 'wrong'} {k[1].decode()}": v for k, v in sorted(counts.items())})
    missing = {b"ACL", b"MYRIGHTS", b"LISTRIGHTS", b"METADATA", b"BADEVENT", b"ESEARCH", b"SORT", b"THREAD", b"VANISHED", b"LSUB",
               b"NOPERM", b"TRYCREATE", b"MODIFIED", b"COPYUID", b"APPENDUID", b"UIDREQUIRED"} - h.said
    check(not missing, "never said:", missing)
    check(counts[True, b"OK"] > COMMANDS // 3 and counts[False, b"BAD"] > COMMANDS // 20, counts)


def test_nothing_valid_is_bad(h):
    """What the grammar allows is never BAD for its form."""
    for rev2 in (False, True):
        s = Session(h, rev2, b"v", qresync=True)
        s.run(b"CREATE valid")
        fill(s, b"valid")
        s.run(b"SELECT valid")
        r = random.Random(SEED + 1)
        maker = Maker(r)
        maker.set = lambda: r.choice([b"1", b"1:*", b"*", b"2,4:3,*"])
        maker.box = lambda: r.choice([b"valid", b"nowhere"])
        for _ in range(400):
            command = maker.right()
            if re.search(rb"CLOSE|SELECT|EXAMINE|DELETE|RENAME|MOVE|EXPUNGE", command):  # these would end what is tested
                continue
            status, code, _ = s.run(command)
            check(status != b"BAD", "BAD for", command, code)


def test_messagelimit(h):
    """RFC 9738: a mailbox with more messages than one command works on."""
    def run(s, command, status=b"OK", limited=True):
        got = s.run(command)
        equal(got[0], status, command)
        where = [got[1]] + [value for name, value, _ in got[2] if name == b"NO"]
        equal(b"MESSAGELIMIT" in where, limited, f"{command}: {where}")
        return got[2]

    def append(s, n, status, limited):
        return run(s, b"APPEND large" + b" {6+}\r\na: b\r\n" * n, status, limited)

    for rev2, qresync, uidonly in (False, False, False), (True, True, False), (True, False, True):
        s = Session(h, rev2, b"m", qresync=qresync, uidonly=uidonly)
        s.run(b"CREATE large")
        append(s, 101, b"NO", True)
        for n in [100] * 10 + [5]:
            append(s, n, b"OK", False)
        s.run(b"SELECT large")
        equal(s.exists, LIMIT + 5, "messages")
        equal(len([x for x in run(s, b"UID FETCH 1:* FLAGS") if x[0].endswith(b"FETCH")]), LIMIT, "fetched")
        run(s, b"UID FETCH 1:1000 FLAGS", limited=False)
        run(s, b"UID FETCH 1:* UID (PARTIAL -1:-1001)", b"NO")
        run(s, b"UID SEARCH ALL")
        run(s, b"UID SEARCH RETURN (COUNT SAVE) UIDAFTER 1")
        run(s, b"UID SEARCH UIDBEFORE 1001", limited=False)
        run(s, b"UID SORT (SIZE) UTF-8 ALL", b"NO")
        run(s, b"UID SORT (SIZE) UTF-8 UIDAFTER 5", limited=False)
        run(s, b"UID THREAD REFERENCES UTF-8 ALL", b"NO")
        run(s, b"UID COPY 1:* box", b"NO")
        run(s, b"UID STORE 1:* +FLAGS.SILENT (\\Seen)")
        run(s, b"UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)")
        run(s, b"UID STORE 6:1005 +FLAGS.SILENT (\\Deleted)", limited=False)
        run(s, b"UID MOVE 1:* INBOX")
        equal(s.exists, 5, "messages left")
        append(s, 100, b"OK", False)
        run(s, b"UID EXPUNGE 1:*", limited=False)
        s.run(b"UNSELECT")
        s.run(b"DELETE large")
        s.run(b"SELECT INBOX")
        s.run(b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
        s.run(b"EXPUNGE")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], config=f"limits {{\n\timap-messages {LIMIT}\n}}"))
