"""posthouse store: what the keeper finds, in a store as the real program left it."""
import json
import os
import sys

from harness import House, check, contains, equal, main

PROGRAM = ""
IN_USE, NO_INPUT = 69, 66


def lines(got):
    return [json.loads(x) for x in got.stdout.splitlines()]


def result(got):
    return lines(got)[-1]["result"]


def own_house():
    """One with three messages, a big one among them, that does not run."""
    h = House(PROGRAM)
    h.send(body="Subject: one\r\n\r\na text that stands in the log alone\r\n")
    h.send(body="Subject: two\r\n\r\nshort\r\n")
    h.send(body="Subject: big\r\n\r\n" + ("x" * 76 + "\r\n") * 30000)
    h.stop()
    return h


def patch(path, find, replace):
    with open(path, "r+b") as f:
        whole = f.read()
        at = whole.find(find)
        check(at >= 0, f"{path} does not hold {find}")
        f.seek(at)
        f.write(replace)


def test_in_use(h):
    got = h.cli_run("store", "check", "--json")
    equal(got.returncode, IN_USE, "exit status while the post house runs")
    equal(json.loads(got.stdout)["error"]["code"], "exists")
    contains(got.stderr, "end the post house first")


def test_sound(h):
    own = own_house()
    got = own.cli_run("store", "check", "--json")
    equal(got.returncode, 0, got.stdout + got.stderr)
    r = result(got)
    equal((r["findings"], r["messages"], r["blobs"], r["accounts"]), (0, 3, 3, 2))
    check(r["bytes"] > 30000 * 78, "the big message was not read:", r)
    text = own.cli_run("store", "check")
    contains(text.stdout, "3 messages in 12 mailboxes of 2 accounts")
    contains(text.stdout, "all sound")
    quick = own.cli_run("store", "check", "--quick", "--json")
    equal((quick.returncode, result(quick)["bytes"]), (0, 0))


def test_stats(h):
    own = own_house()
    got = own.cli_run("store", "stats", "--json")
    equal(got.returncode, 0, got.stdout + got.stderr)
    r = result(got)
    equal((r["messages"], r["accounts"], r["folders"]["big"]["files"]), (3, 2, 1))
    equal(sum(v["blobs"] for v in r["volumes"]), 2)
    contains(own.cli_run("store", "stats").stdout, "VOLUME")


def test_damaged_message(h):
    own = own_house()
    own.check_store = False
    store = os.path.join(own.dir, "data", "store")
    volume = os.path.join(store, "volumes", "00000001.vol")
    patch(volume, b"a text that stands in the log alone", b"A")
    got = own.cli_run("store", "check")
    equal(got.returncode, 1, got.stdout + got.stderr)
    contains(got.stdout, "volume 1 is damaged between")
    contains(got.stdout, "blob 1 ")
    equal(got.stdout.count("! damaged"), 2, got.stdout)


def test_damaged_big(h):
    own = own_house()
    own.check_store = False
    big = os.path.join(own.dir, "data", "store", "big")
    name = os.path.join(big, os.listdir(big)[0])
    patch(name, b"x" * 76, b"y")
    contains(own.cli_run("store", "check").stdout, "(a file of its own) is damaged")
    os.unlink(name)
    got = own.cli_run("store", "check", "--quick")
    equal(got.returncode, 1)
    contains(got.stdout, "is gone or too short")


def damage_rows(own):
    """A value in the key file that fails its seal: the account's name, which stands nowhere else."""
    patch(os.path.join(own.dir, "data", "store", "keys", "data.mdb"), b"Alice Liddell the seventh", b"Z")


def test_repair(h):
    own = House(PROGRAM)
    own.cli("account", "set", f"alice@{own.domain}", "--name", "Alice Liddell the seventh", text=True)
    own.send(body="Subject: one\r\n\r\none\r\n")
    own.imap(select="INBOX").command("STORE 1 +FLAGS (\\Seen $kept)")
    own.stop()
    got = own.cli_run("store", "repair", "--json")
    equal((got.returncode, result(got)["findings"], result(got)["note"]), (0, 0, ""), "repair of a sound store")
    damage_rows(own)
    equal(own.cli_run("store", "check").returncode, 1, "check of the damaged one")
    got = own.cli_run("store", "repair", "--json")
    equal(got.returncode, 0, got.stdout + got.stderr)
    check(result(got)["before"] > 0 and result(got)["findings"] == 0, got.stdout)
    contains(result(got)["note"], "the damaged one is corrupt/data.mdb")
    own.start()
    contains(own.cli("account", "show", f"alice@{own.domain}", text=True), "Alice Liddell the seventh")
    lines_ = own.imap(select="INBOX").command("FETCH 1 (FLAGS UID)")
    check(any("\\Seen" in str(x) and "$kept" in str(x) and "UID 1" in str(x) for x in lines_), lines_)


def test_repair_of_a_damaged_log(h):
    own = own_house()
    own.check_store = False
    patch(os.path.join(own.dir, "data", "store", "volumes", "00000001.vol"), b"a text that stands in the log alone", b"A")
    got = own.cli_run("store", "repair")
    equal(got.returncode, 70, got.stdout + got.stderr)
    contains(got.stderr, "restore those messages from a backup")


def test_rebuild(h):
    own = own_house()
    got = own.cli_run("store", "repair", "--rebuild")
    equal(got.returncode, 64, "without --yes and without a terminal")
    got = own.cli_run("store", "repair", "--rebuild", "--yes", "--json")
    equal((got.returncode, result(got)["messages"], result(got)["findings"]), (0, 3, 0), got.stdout + got.stderr)
    check(result(got)["replayed"] > 3, got.stdout)


def test_after_kill(h):
    own = House(PROGRAM)
    for i in range(20):
        own.send(body=f"Subject: {i}\r\n\r\nbody {i}\r\n")
    own.kill()
    got = own.cli_run("store", "check", "--json")
    equal(got.returncode, 0, got.stdout + got.stderr)
    equal((result(got)["messages"], result(got)["findings"]), (20, 0))


def test_no_store(h):
    own = House(PROGRAM, start=False)
    own.write_config()
    got = own.cli_run("store", "check", "--json")
    equal(got.returncode, NO_INPUT, got.stdout + got.stderr)
    contains(got.stderr, "there is no store")


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
