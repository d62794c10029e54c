"""Mail that goes out: over connections kept, with commands of the owner, forwarded, held back, by smart hosts."""
import os
import sys
import time

import outgoing
from fault_server import EXTENSIONS, Drop, Good, Silent, Turns, Wait
from harness import check, contains, equal, main, sanitized, wait_until
from outgoing import CONFIG, LIFETIME, ZONE, World

PROGRAM = ""
WORLD = []


def test_connection_is_used_again(_):
    w = WORLD[0]
    host = w.host()
    with w.login() as t:
        for i in range(5):
            queue_id = w.submit([f"r{i}@{host.domain}"], session=t)
            wait_until(lambda: len(host.messages) == i + 1 and queue_id not in w.queue(), what=f"the end of message {i}")
    equal(len(host.sessions), 1, "connections for five messages, one after another")
    check(host.sessions[0].pipelined > 0, "nothing was pipelined")
    wait_until(lambda: host.sessions[0].ended, 60, "the end of the connection that nobody needs any more")
    equal(host.commands()[-1], "QUIT", "the last word")


def test_a_server_that_forgets_between_messages(_):
    """The second message meets a connection that the server closed while it lay idle: nobody is told of a failure."""
    w = WORLD[0]
    host = w.host(script={"rset": Drop(), "mail": Turns(Good(), Drop(), Good())})
    with w.login() as t:
        ids = [w.submit([f"r{i}@{host.domain}"], session=t) for i in range(3)]
    wait_until(lambda: len(host.messages) == 3, 20, "three messages")
    wait_until(lambda: not set(ids) & set(w.queue()), what="an empty queue")


def test_a_server_that_says_421_to_an_idle_connection(_):
    """What was kept for the next message is gone when that comes: no try is lost over it."""
    w = WORLD[0]
    host = w.host(script={"end": Turns(("250 2.0.0 ok", Wait(0.3), "421 4.4.2 idle too long", Drop()), Good())})
    w.submit([f"a@{host.domain}"])
    wait_until(lambda: host.messages, what="the first")
    time.sleep(0.6)
    queue_id = w.submit([f"b@{host.domain}"])
    wait_until(lambda: len(host.messages) == 2, what="the second")
    wait_until(lambda: w.events(queue_id, event="sent"), what="its end")
    equal(w.events(queue_id, event="deferred"), [], "tries lost")


def test_hundred_recipients_in_full_transactions(_):
    w = WORLD[0]
    host = w.host()
    to = [f"r{i}@{host.domain}" for i in range(250)]
    queue_id = w.submit(to)
    wait_until(lambda: sum(len(m.recipients) for m in host.messages) >= 250, 20, "all recipients")
    wait_until(lambda: queue_id not in w.queue(), what="the end")
    equal(sorted(a for m in host.messages for a in m.addresses), sorted(to), "recipients")
    check(len(host.messages) <= 4, f"{len(host.messages)} transactions for 250 recipients")


def test_large_message(_):
    """20 MB out, unchanged, and no role grows by more than a fraction of it for long."""
    w = WORLD[0]
    line = bytes(range(33, 103)) + b"\r\n"
    for extensions in (EXTENSIONS, ("PIPELINING", "8BITMIME", "SIZE 50000000")):
        host = w.host(extensions=extensions)
        text = w.letter(to=f"a@{host.domain}", body=line * (20_000_000 // len(line)))
        queue_id = w.submit([f"a@{host.domain}"], text)
        wait_until(lambda: host.messages, 30, "its arrival")
        check(host.messages[0].content.endswith(text), "it changed on its way")
        wait_until(lambda: queue_id not in w.queue(), what="the end")


def test_hold_release_drop_bounce_retry(_):
    w = WORLD[0]
    host = w.host(script={"rcpt": "450 4.2.0 not now"})
    ids = {}
    with w.login() as t:
        for name in ("held", "dropped", "bounced"):
            ids[name] = w.submit([f"{name}@{host.domain}"], session=t)
    for name, queue_id in ids.items():
        wait_until(lambda: (e := w.entry(queue_id, f"{name}@{host.domain}")) and e["attempts"] >= 1, what=f"a try of {name}")
    w.h.cli("queue", "drop", ids["dropped"], "--yes", "--json")
    w.h.cli("queue", "bounce", ids["bounced"], "--yes", "--json")
    w.h.cli("queue", "hold", ids["held"], "--json")
    equal(w.entry(ids["dropped"], f"dropped@{host.domain}"), None, "what was dropped")
    wait_until(lambda: ids["bounced"] not in w.queue(), what="the end of the bounced one")
    w.wait_report(f"bounced@{host.domain}", "failed")
    equal(w.entry(ids["held"], f"held@{host.domain}")["state"], "held", "state")
    host.script["rcpt"] = Good()
    tries = len(host.sessions)
    time.sleep(3.5)  # longer than retry-max
    equal(host.messages, [], "held messages that went out")
    equal(len(host.sessions), tries, "connections meanwhile")
    shown = w.h.cli("queue", "show", ids["held"], "--json")["result"]
    contains(str(shown), f"held@{host.domain}", "queue show")
    w.h.cli("queue", "release", ids["held"], "--json")
    wait_until(lambda: host.messages, what="its arrival after release")
    equal([m.addresses for m in host.messages], [[f"held@{host.domain}"]], "what arrived")
    equal(w.reports(f"dropped@{host.domain}", action="failed"), [], "reports about the dropped one")


def test_forward_to_the_outside(_):
    """An alias to an outside address: Delivered-To stands in front, the sender stays, a failure goes to the sender."""
    w = WORLD[0]
    here, back = w.host(), w.host()
    for name, target in (("forward", f"friend@{here.domain}"), ("forward-bad", f"nobody@{here.domain}")):
        w.h.cli("alias", "add", f"{name}@{w.h.domain}", target, "--json")
    here.script["rcpt"] = {"nobody": "550 5.1.1 no such friend"}
    sender = f"stranger@{back.domain}"
    text = w.letter(sender)
    w.h.send(f"forward@{w.h.domain}", text, sender)
    wait_until(lambda: here.messages, what="the forwarded message")
    got = here.messages[0]
    equal(got.addresses, [f"friend@{here.domain}"], "recipients")
    check(got.content.startswith(f"Delivered-To: forward@{w.h.domain}\r\nReceived: ".encode()), "the head:", got.content[:300])
    check(got.content.endswith(text), "the message changed")
    # its way back to us is a loop
    with w.h.smtp() as t:
        t.envelope(sender, [f"forward@{w.h.domain}"])
        t.say("DATA", 354)
        t.send(got.content + b".\r\n")
        code, lines = t.reply()
    if code == 250:
        wait_until(lambda: any(b"delivery-status" in m.content for m in back.messages), what="the report")
    else:
        equal(code // 100, 5, lines)
    equal(len(here.messages), 1, "messages that went round")
    # who cannot be reached is told to the stranger, from the null sender
    before = len(back.messages)
    w.h.send(f"forward-bad@{w.h.domain}", text, sender)
    wait_until(lambda: len(back.messages) > before, 20, "the report to the stranger")
    report = back.messages[-1]
    equal((report.sender, report.addresses), ("", [sender]), "envelope of the report")
    contains(report.content, b"no such friend", "the report")
    check(b"Return-Path: <>" not in report.content, "a report on its way has a Return-Path")


def test_an_account_forwards(_):
    """To the outside and no copy here; then a copy too."""
    w = WORLD[0]
    there = w.host()
    w.h.cli("account", "set", f"bob@{w.h.domain}", "--forward", f"bob@{there.domain}", "--no-keep", "--json")
    kept = len(w.inbox("bob"))
    w.h.send("bob", w.letter(f"someone@{there.domain}", subject="on to the next"), f"someone@{there.domain}")
    wait_until(lambda: there.messages, what="the forwarded message")
    m = there.messages[0]
    equal((m.sender, m.addresses), (f"someone@{there.domain}", [f"bob@{there.domain}"]), "envelope")
    check(m.content.startswith(f"Delivered-To: bob@{w.h.domain}\r\n".encode()), m.content[:200])
    equal(len(w.inbox("bob")), kept, "copies here")
    w.h.cli("account", "set", f"bob@{w.h.domain}", "--keep", "--json")
    w.h.send("bob", w.letter(f"someone@{there.domain}"), f"someone@{there.domain}")
    wait_until(lambda: len(there.messages) == 2, what="the next one")
    equal(len(w.inbox("bob")), kept + 1, "copies here")
    w.h.cli("account", "set", f"bob@{w.h.domain}", "--no-forward", "--json")


def test_double_bounce_goes_to_postmaster(_):
    w = WORLD[0]
    bad, back = w.host(script={"rcpt": "550 5.1.1 no such friend"}), w.host(script={"rcpt": "550 5.1.1 never sent that"})
    w.h.cli("alias", "add", f"postmaster@{w.h.domain}", f"bob@{w.h.domain}", "--json")
    w.h.cli("alias", "add", f"to-bad@{w.h.domain}", f"nobody@{bad.domain}", "--json")
    w.h.send(f"to-bad@{w.h.domain}", w.letter(f"ghost@{back.domain}"), f"ghost@{back.domain}")
    report, _ = w.wait_report(f"ghost@{back.domain}", "failed", user="bob")
    contains(report.raw, b"never sent that", "the double bounce")
    # what came from <> is answered to nobody
    before = len(back.commands())
    queue_id = w.h.send(f"to-bad@{w.h.domain}", w.letter(f"ghost@{back.domain}"), "")
    wait_until(lambda: w.events(queue_id, event="failed"), 20, "its failure")
    wait_until(lambda: queue_id not in w.queue(), what="the end")
    time.sleep(1)
    equal(len(back.commands()), before, "messages to the author of one with the null sender")
    equal(w.reports(f"nobody@{bad.domain}", user="bob")[1:], [], "reports")


def test_futurerelease(_):
    w = WORLD[0]
    host = w.host()
    began = time.monotonic()
    queue_id = w.submit([f"a@{host.domain}"], mail="HOLDFOR=4")
    entry = w.entry(queue_id, f"a@{host.domain}")
    check(entry and entry["attempts"] == 0, entry)
    wait_until(lambda: host.messages, 20, "its release")
    check(3 <= time.monotonic() - began, "it went too early")


def test_fresh_mail_passes_a_dead_destination(_):
    """Hundreds of messages to servers that never answer hold nobody else up."""
    w = WORLD[0]
    dead, good = w.host(script={"banner": Silent()}), w.host()
    with w.login() as t:
        for i in range(200):
            w.submit([f"r{i}@{dead.domain}"], session=t)
        began = time.monotonic()
        w.submit([f"a@{good.domain}"], session=t)
    wait_until(lambda: good.messages, 10, "mail to the living")
    slow = sanitized(w.h.pids("outbound")[0])
    check(time.monotonic() - began < (10 if slow else 2), f"it took {time.monotonic() - began:.1f} s")
    check(len([s for s in dead.sessions if not s.ended]) <= 20, "connections to one server at once")
    w.h.cli("queue", "drop", "--domain", dead.domain, "--yes", "--json")

def test_nothing_was_said_wrongly(_):
    """What the program said to all these servers was lawful SMTP, and no role died of it."""
    w = WORLD[0]
    equal(w.server.wrong, [], "offences against SMTP")
    for r in w.h.status()["roles"]:
        equal(r["restarts"], 0, f"restarts of {r['role']}")
    equal(w.h.close(), "", "the end")


# ---- worlds of their own ----

def test_undo_window(_):
    with outgoing.world(PROGRAM, CONFIG + "queue {\n\tundo 4s\n}\n") as w:
        host = w.host()
        with w.login() as t:
            kept, regretted = (w.submit([f"{name}@{host.domain}"], session=t) for name in ("kept", "regretted"))
        w.h.cli("queue", "drop", regretted, "--yes", "--json")
        equal(host.sessions, [], "connections inside the window")
        wait_until(lambda: host.messages, 20, "the other one")
        equal(host.messages[0].addresses, [f"kept@{host.domain}"], "what went out")
        wait_until(lambda: kept not in w.queue(), what="the end")
        time.sleep(1)
        equal(len(host.messages), 1, "messages")


def add_route(w, host, *args, secret=None):
    return w.h.cli("route", "add", f"{host.name}:{w.server.port}", *args, "--json",
                   stdin=secret + "\n" if secret else None)["result"]


def test_smart_host(_):
    """Everything by a smart host, logged in by each mechanism."""
    with outgoing.world(PROGRAM, CONFIG) as w:
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            smart = w.host(tls=w.certificates.context(f"mx{w.used + 1}.{ZONE}"), users={"me": "a secret, ü"},
                           mechanisms=(mechanism,))
            add_route(w, smart, "--tls", "starttls", "--user", "me", "--password-stdin", secret="a secret, ü")
            w.submit([f"a@d200.{ZONE}", f"b@d201.{ZONE}"])
            wait_until(lambda: sum(len(m.recipients) for m in smart.messages) == 2, 20, f"the letter by {mechanism}")
            equal({m.login for m in smart.messages}, {"me"}, "logged in as")
            check(all(m.tls for m in smart.messages), "without TLS")
            contains(" ".join(smart.commands()), f"AUTH {mechanism}", "commands")
            for route in w.h.cli("route", "list", "--json")["result"]["routes"]:
                w.h.cli("route", "remove", str(route["id"]), "--yes", "--json")
        check("a secret" not in w.h.log(), "the password stands in the log")


def test_smart_host_certificate(_):
    """A password never goes to a smart host whose certificate is no good."""
    with outgoing.world(PROGRAM, CONFIG) as w:
        smart = w.host(tls=w.certificates.context("elsewhere.example"), users={"me": "secret"})
        add_route(w, smart, "--tls", "starttls", "--user", "me", "--password-stdin", secret="secret")
        queue_id = w.submit([f"a@d200.{ZONE}"])
        wait_until(lambda: (e := w.entry(queue_id, f"a@d200.{ZONE}")) and e["attempts"] >= 1, 20, "a try")
        check(not any("AUTH" in c for c in smart.commands()), "AUTH all the same")
        equal(smart.messages, [], "messages")


def test_tls_required_by_a_route(_):
    with outgoing.world(PROGRAM, CONFIG.replace(f"lifetime {LIFETIME}s", "lifetime 4s")) as w:
        smart = w.host()
        add_route(w, smart, "--tls", "starttls")
        queue_id = w.submit([f"a@d200.{ZONE}"])
        wait_until(lambda: (e := w.entry(queue_id, f"a@d200.{ZONE}")) and e["attempts"] >= 1, 20, "a try")
        equal(smart.messages, [], "messages without TLS")
        w.wait_report(f"a@d200.{ZONE}", "failed", seconds=LIFETIME + 20)


def test_fallback_route(_):
    """Straight when that works, by the smart host when nobody answers."""
    records = {f"refused.{ZONE}": [f"MX 10 dead.{ZONE}."], f"dead.{ZONE}": ["A 127.0.2.3"]}
    with outgoing.world(PROGRAM, CONFIG, records) as w:
        smart, straight = w.host(), w.host()
        add_route(w, smart, "--tls", "may", "--fallback")
        w.submit([f"a@{straight.domain}"])
        w.submit([f"b@refused.{ZONE}"])
        wait_until(lambda: straight.messages and smart.messages, 20, "both")
        equal([m.addresses for m in straight.messages], [[f"a@{straight.domain}"]], "straight")
        equal([m.addresses for m in smart.messages], [[f"b@refused.{ZONE}"]], "by the smart host")


def test_routes_by_sender_and_recipient(_):
    with outgoing.world(PROGRAM, CONFIG) as w:
        by_domain, by_sender, default = w.host(), w.host(), w.host()
        first = add_route(w, default)
        add_route(w, by_domain, "--for-domain", f"d200.{ZONE}")
        add_route(w, by_sender, "--for-sender", f"bob@{w.h.domain}")
        w.submit([f"a@d200.{ZONE}"], user="bob")
        w.submit([f"b@d201.{ZONE}"], user="bob")
        w.submit([f"c@d202.{ZONE}"])
        wait_until(lambda: len(w.server.messages) == 3, 20, "all three")
        equal([h.messages[0].addresses[0][0] for h in (by_domain, by_sender, default)], ["a", "b", "c"], "who went where")
        got = w.h.cli("route", "test", str(first["id"]), "--json")["result"]
        contains(str(got), "EHLO", "route test")
        contains(w.h.cli("route", "test", f"dead.{ZONE}:{w.server.port}", codes=(1,), text=True), f"dead.{ZONE}", "route test")

if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv[1])
    try:
        WORLD.append(World(PROGRAM, CONFIG))
        code = main(sys.modules[__name__], own_houses=True)
    finally:
        for world in WORLD:
            world.close()
    sys.exit(code)
