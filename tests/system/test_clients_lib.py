"""Libraries that programs are built on: Python's imaplib, imapflow and node-imap under Node, Perl's Mail::IMAPClient.

The Node packages are looked for in $POSTHOUSE_NODE_MODULES, else where tools/deps.sh puts them.
"""
import imaplib
import json
import os
import re
import ssl
import subprocess
import sys

from clients import FOLDER, INNER, SUBJECTS, Certificate, Tap, drop, fill, home, letter, run, utf7, write
from harness import Skip, check, contains, equal, main, need

certificate = Certificate()


# ---- Python's imaplib ----

def imaplib_session(h, m):
    def ok(got, what):
        equal(got[0], "OK", what)
        return got[1]

    with m:
        ok(m.login("alice", h.users["alice"]), "login")
        ok(m.enable("UTF8=ACCEPT"), "enable")
        contains(b"\n".join(ok(m.list(), "list")), '"/" "INBOX"'.encode())
        ok(m.create(f'"{FOLDER}"'), "create")
        contains(b"\n".join(ok(m.list('""', f'"{FOLDER}*"'), "list")), FOLDER.encode())
        ok(m.select("INBOX"), "select")
        numbers = ok(m.uid("SEARCH", "ALL"), "search")[0].split()
        equal(len(numbers), 8, "messages")
        m.literal = SUBJECTS[0].encode()
        equal(len(ok(m.uid("SEARCH", "SUBJECT"), "search by a Chinese literal")[0].split()), 3, "messages found")
        ok(m.uid("FETCH", numbers[0], "(FLAGS ENVELOPE BODYSTRUCTURE)"), "fetch")
        body = ok(m.uid("FETCH", numbers[0], "(BODY.PEEK[])"), "fetch")[0][1]
        contains(body, b"Message-ID: <letter-0@")
        ok(m.append(f'"{FOLDER}"', "(\\Seen)", imaplib.Time2Internaldate(1790000000), letter(SUBJECTS[1], number=90)), "append")
        ok(m.uid("COPY", numbers[0], f'"{FOLDER}"'), "copy")
        equal(ok(m.status(f'"{FOLDER}"', "(MESSAGES UNSEEN)"), "status")[0].decode().rpartition("(")[2], "MESSAGES 2 UNSEEN 1)")
        ok(m.uid("STORE", numbers[0], "+FLAGS", "(\\Deleted $Label1)"), "store")
        ok(m.expunge(), "expunge")
        equal(len(ok(m.uid("SORT", "(REVERSE DATE)", "UTF-8", "ALL"), "sort")[0].split()), 7, "messages sorted")
        contains(ok(m.uid("THREAD", "REFERENCES", "UTF-8", "ALL"), "thread")[0], b"(")
        ok(m.noop(), "noop")
        ok(m.getquotaroot("INBOX"), "quota")
        ok(m.unselect(), "unselect")
        ok(m.delete(f'"{FOLDER}"'), "delete")


def test_imaplib(h):
    fill(h)
    with Tap(h, "imap", "imaplib") as tap:
        imaplib_session(h, imaplib.IMAP4("127.0.0.1", tap.port))


def test_imaplib_tls(h):
    fill(h)
    context = ssl.create_default_context(cafile=certificate.path)
    imaplib_session(h, imaplib.IMAP4_SSL("localhost", h.ports["imaps"], ssl_context=context))
    fill(h)
    m = imaplib.IMAP4("localhost", h.ports["imap"])
    m.starttls(context)
    imaplib_session(h, m)


# ---- Node ----

def node_modules(package):
    node = need("node")
    places = [os.environ.get("POSTHOUSE_NODE_MODULES"), os.path.expanduser("~/.cache/posthouse/node/node_modules")]
    for place in filter(None, places):
        if os.path.isdir(os.path.join(place, package)):
            return node, place
    raise Skip(f"npm's {package} is not installed")


def run_node(h, package, script, tap):
    node, modules = node_modules(package)
    with home() as folder:
        os.symlink(modules, f"{folder}/node_modules")
        write(f"{folder}/test.mjs", script)
        said = json.dumps({"port": tap.port if tap else h.ports["imaps"], "pass": h.users["alice"], "ca": certificate.path,
                           "folder": FOLDER, "inner": INNER, "subject": SUBJECTS[0], "tls": tap is None,
                           "letter": letter(SUBJECTS[1], number=91).decode()})
        out = run(node, f"{folder}/test.mjs", said, folder=folder, log=f"{package}-output{'' if tap else '-tls'}")
        return json.loads(out.decode().strip().split("\n")[-1])


IMAPFLOW = """
import { ImapFlow } from "imapflow";
import fs from "node:fs";
const o = JSON.parse(process.argv[2]), got = {};
const client = new ImapFlow({ host: "localhost", port: o.port, secure: o.tls, doSTARTTLS: false, logger: false,
	auth: { user: "alice", pass: o.pass }, tls: { ca: fs.readFileSync(o.ca) }, qresync: true });
await client.connect();
got.capabilities = [...client.capabilities.keys()];
got.enabled = [...client.enabled];
got.made = (await client.mailboxCreate(o.inner)).created;
got.list = (await client.list({ statusQuery: { messages: true, unseen: true } })).map((m) => ({ path: m.path, use: m.specialUse,
	messages: m.status && m.status.messages }));
const lock = await client.getMailboxLock("INBOX");
try {
	got.exists = client.mailbox.exists;
	got.subjects = [];
	for await (const m of client.fetch("1:*",
			{ envelope: true, flags: true, bodyStructure: true, uid: true, size: true, labels: true }))
		got.subjects.push(m.envelope.subject);
	got.found = await client.search({ subject: o.subject }, { uid: true });
	got.or = await client.search({ or: [{ flagged: true }, { since: new Date("2026-01-01") }], not: { deleted: true } });
	const down = await client.download("1");
	let text = "";
	for await (const part of down.content) text += part;
	got.text = text.includes("letter-0@example.org");
	got.flags = await client.messageFlagsAdd("1:2", ["\\\\Seen", "$Work"]);
	got.copied = (await client.messageCopy("1:3", o.inner)).uidMap.size;
	got.moved = (await client.messageMove("1", o.inner)).uidMap.size;
	got.deleted = await client.messageDelete("1");
	const appended = await client.append(o.inner, o.letter, ["\\\\Seen"], new Date());
	got.appended = appended.uid;
	got.quota = !!(await client.getQuota("INBOX"));
	const seen = new Promise((done) => client.once("exists", (e) => done(e.count)));
	const idle = client.idle();
	const other = new ImapFlow({ host: "localhost", port: o.port, secure: o.tls, doSTARTTLS: false, logger: false,
		auth: { user: "alice", pass: o.pass }, tls: { ca: fs.readFileSync(o.ca) } });
	await other.connect();
	await other.append("INBOX", o.letter);
	await other.logout();
	got.live = await seen;
	await client.noop();
	await idle;
} finally {
	lock.release();
}
got.status = await client.status(o.inner, { messages: true, uidNext: true, highestModseq: true });
await client.mailboxUnsubscribe(o.inner);
await client.mailboxDelete(o.inner);
await client.mailboxDelete(o.folder);
await client.logout();
console.log(JSON.stringify(got, (k, v) => typeof v === "bigint" ? v.toString() : v));
"""


def imapflow(h, tap):
    fill(h)
    got = run_node(h, "imapflow", IMAPFLOW, tap)
    equal(got["made"], True, "folder made")
    listed = {m["path"]: m for m in got["list"]}
    check(INNER in listed and FOLDER in listed, "folders are missing:", *listed)
    equal(listed["Sent"]["use"], "\\Sent")
    equal(listed["INBOX"]["messages"], 8, "messages by LIST-STATUS")
    equal(got["exists"], 8, "messages")
    equal(got["subjects"][:6], list(SUBJECTS), "subjects")
    equal(len(got["found"]), 3, "messages found")
    equal(len(got["or"]), 8, "messages found by OR")
    for field in ("text", "flags", "deleted", "quota"):
        equal(got[field], True, field)
    equal((got["copied"], got["moved"], got["live"]), (3, 1, 7))
    equal(got["status"]["messages"], 5, "messages in the folder")
    check("QRESYNC" in got["enabled"], "QRESYNC is not enabled:", got["enabled"])


def test_imapflow(h):
    node_modules("imapflow")
    with Tap(h, "imap", "imapflow") as tap:
        imapflow(h, tap)
        contains(tap.said(), "COMPRESS DEFLATE")


def test_imapflow_tls(h):
    node_modules("imapflow")
    imapflow(h, None)


NODE_IMAP = """
import Imap from "imap";
import fs from "node:fs";
const o = JSON.parse(process.argv[2]), got = { subjects: [], bodies: 0 };
const imap = new Imap({ user: "alice", password: o.pass, host: "localhost", port: o.port, tls: o.tls,
	tlsOptions: { ca: fs.readFileSync(o.ca), servername: "localhost" } });
const call = (name, ...words) => new Promise((done, wrong) => imap[name](...words, (e, ...r) => e ? wrong(e) : done(r[0])));
const fetch = (source, options, each) => new Promise((done, wrong) => {
	const f = imap.fetch(source, options);
	f.on("message", each);
	f.once("error", wrong);
	f.once("end", done);
});
imap.once("error", (e) => { console.error(e); process.exit(1); });
imap.once("ready", async () => {
	try {
		got.boxes = Object.keys(await call("getBoxes"));
		await call("addBox", o.folder);
		got.made = Object.keys(await call("getBoxes")).includes(o.folder);
		const box = await call("openBox", "INBOX", false);
		got.total = box.messages.total;
		const all = await call("search", ["ALL"]);
		got.found = (await call("search", ["UNSEEN", ["SINCE", "May 20, 2010"], ["HEADER", "SUBJECT", o.subject]])).length;
		got.sorted = (await call("sort", ["-DATE"], ["ALL"])).length;
		got.threads = (await call("thread", "REFERENCES", ["ALL"])).length;
		const wanted = { bodies: ["HEADER.FIELDS (FROM TO SUBJECT DATE)", "TEXT"], struct: true, envelope: true, size: true };
		await fetch(all, wanted, (m) => {
			m.on("body", (s) => { s.on("data", () => {}); s.once("end", () => got.bodies++); });
			m.once("attributes", (a) => got.subjects.push(a.envelope.subject));
		});
		await call("addFlags", all[0], ["\\\\Flagged"]);
		await call("addKeywords", all.slice(0, 2), ["Work"]);
		await call("copy", all.slice(0, 3), o.folder);
		await call("move", all[3], o.folder);
		await call("append", o.letter, { mailbox: o.folder, flags: ["Seen"], date: new Date() });
		got.status = (await call("status", o.folder)).messages.total;
		await call("addFlags", all[1], ["\\\\Deleted"]);
		await call("expunge", [all[1]]);
		await call("subscribeBox", o.folder);
		got.subscribed = Object.keys(await call("getSubscribedBoxes")).includes(o.folder);
		got.changed = (await call("search", [["MODSEQ", 1]])).length;
		await call("closeBox", true);
		await call("renameBox", o.folder, o.folder + " 2");
		await call("delBox", o.folder + " 2");
		imap.once("end", () => console.log(JSON.stringify(got)));
		imap.end();
	} catch (e) {
		console.error(e);
		process.exit(1);
	}
});
imap.connect();
"""


def node_imap(h, tap):
    fill(h)
    got = run_node(h, "imap", NODE_IMAP, tap)
    check("INBOX" in got["boxes"] and "Sent" in got["boxes"], "boxes:", got["boxes"])
    equal((got["made"], got["subscribed"]), (True, True), "the folder")
    equal((got["total"], got["found"], got["sorted"], got["threads"], got["changed"]), (8, 3, 8, 6, 6))
    equal((got["bodies"], got["status"]), (16, 5))
    equal(got["subjects"][:6], list(SUBJECTS), "subjects")


def test_node_imap(h):
    node_modules("imap")
    with Tap(h, "imap", "node-imap") as tap:
        node_imap(h, tap)


def test_node_imap_tls(h):
    node_modules("imap")
    node_imap(h, None)


# ---- Perl ----

PERL = r"""
use strict; use warnings; use utf8; use Encode;
use Mail::IMAPClient;
my ($port, $pass, $folder, $log, $tls, $ca) = @ARGV;
open(my $debug, ">", $log) or die;
sub need { my ($truth, $what) = @_; die "$what: " . ($main::m ? $main::m->LastError // "" : $@) . "\n" unless $truth; $truth }
our $m = Mail::IMAPClient->new(Server => "localhost", Port => $port, User => "alice", Password => $pass, Uid => 1, Peek => 1,
	Debug => 1, Debug_fh => $debug, ($tls eq "ssl" ? (Ssl => [SSL_ca_file => $ca]) : ()),
	($tls eq "starttls" ? (Starttls => [SSL_ca_file => $ca]) : ()));
need($m, "login");
print "folders ", join("|", need([$m->folders], "folders")->@*), "\n";
print "has ", join(" ", map { $m->has_capability($_) ? 1 : 0 } qw(IDLE UIDPLUS NAMESPACE CONDSTORE)), "\n";
need($m->create($folder), "create");
need($m->exists($folder), "exists");
need($m->select("INBOX"), "select");
my @all = $m->messages;
print "count ", scalar(@all), " ", $m->message_count("INBOX"), " ", $m->unseen_count, "\n";
print "found ", join(",", scalar($m->search("SUBJECT", $m->Quote("plain"))->@*), scalar($m->search("NOT DELETED")->@*)), "\n";
my $h = need(scalar $m->fetch_hash(\@all, "RFC822.SIZE", "INTERNALDATE", "FLAGS", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"),
	"fetch_hash");
print "hash ", scalar(keys %$h), "\n";
need(scalar $m->get_envelope($all[0]), "envelope");
need(scalar $m->get_bodystructure($all[0]), "bodystructure");
print "size ", $m->size($all[0]) == length($m->message_string($all[0])) ? "same" : "differs", "\n";
print "text ", length(need($m->body_string($all[0]), "body")) > 0 ? 1 : 0, "\n";
need($m->set_flag("Flagged", $all[0]), "flag");
print "flags ", join(" ", sort grep { !/Recent/ } $m->flags($all[0])), "\n";
print "uid ", need($m->append_string($folder, "Subject: from Perl\r\n\r\nhello\r\n", "\\Seen", "24-Nov-2026 10:00:00 +0800"),
	"append"), "\n";
need($m->copy($folder, $all[0], $all[1]), "copy");
need($m->move($folder, $all[2]), "move");
need($m->delete_message($all[1]), "delete");
need($m->expunge, "expunge");
print "thread ", scalar($m->thread("REFERENCES", "UTF-8", "ALL")->@*), "\n";
print "sort ", scalar($m->sort("DATE", "UTF-8", "ALL")->@*), "\n";
print "status ", $m->status($folder, "MESSAGES"), "\n";
my $tag = need($m->idle, "idle");
need($m->done($tag), "done");
need(defined($m->getquotaroot("INBOX")), "quota");
need($m->getacl("INBOX"), "acl") if $m->has_capability("ACL");
need($m->subscribe($folder), "subscribe");
need($m->unsubscribe($folder), "unsubscribe");
need($m->rename($folder, "Perl"), "rename");
need($m->delete("Perl"), "delete");
need($m->close, "close");
need($m->logout, "logout");
print "end\n";
"""


def perl_has(module):
    if subprocess.run([need("perl"), f"-M{module}", "-e", "1"], capture_output=True).returncode:
        raise Skip(f"Perl's {module} is not installed")


def test_perl(h):
    perl_has("Mail::IMAPClient")
    for tls, service in (("none", "imap"), ("ssl", "imaps"), ("starttls", "imap")):
        fill(h)
        with home() as folder, Tap(h, "imap", f"perl-{tls}") as tap:
            write(f"{folder}/test.pl", PERL)
            out = run("perl", f"{folder}/test.pl", str(tap.port if tls == "none" else h.ports[service]), h.users["alice"],
                      utf7(FOLDER), f"{folder}/debug", tls, certificate.path, folder=folder, log=f"perl-{tls}-output").decode()
            said = dict(line.partition(" ")[::2] for line in out.strip().split("\n"))
            contains(said["folders"].split("|"), "INBOX")
            equal(said["has"], "1 1 1 1")
            equal((said["count"], said["found"], said["hash"], said["size"], said["text"]), ("8 8 8", "1,8", "8", "same", "1"))
            equal((said["flags"], said["thread"], said["sort"]), ("\\Flagged", "4", "6"))
            contains(out, "\nend\n")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], config=certificate.config()))
