"""Clients in a terminal, typed at through tmux: neomutt, mutt with its cache of headers, alpine."""
import os
import sys

from clients import FOLDER, INNER, SUBJECTS, Certificate, Screen, drop, fill, home, letter, letters, log_path, utf7, write
from harness import check, contains, equal, main, need, wait_until

certificate = Certificate()


def drafts(h):
    with h.imap(select="Drafts") as t:
        if not t.count():
            return []
        return [next(p for p in r if isinstance(p, bytes)) for r in t.fetch("1:*", "BODY.PEEK[]").values()]


def flags_of(h, number_of_letter, mailbox="INBOX"):
    """The flags of letter N, or None when it is gone."""
    with h.imap(select=f'"{utf7(mailbox)}"') as t:
        numbers = t.ok(f'SEARCH HEADER Message-ID "letter-{number_of_letter}@"')[0][0].split()[2:]
        if not numbers:
            return None
        return str(t.fetch(numbers[0], "FLAGS"))


# ---- mutt and neomutt ----

def muttrc(h, folder, service):
    return write(f"{folder}/muttrc", f"""set folder="{service}://alice@localhost:{h.ports[service]}/"
set spoolfile="+INBOX" postponed="+Drafts" record="+Sent" trash="+Trash"
set imap_user="alice" imap_pass="{h.users['alice']}"
set certificate_file="{certificate.path}"
set ssl_starttls=yes ssl_force_tls=yes
set header_cache="{folder}/cache/headers" message_cachedir="{folder}/cache/bodies"
set imap_qresync=yes imap_condstore=yes imap_idle=yes imap_keepalive=60
set realname="Alice" from="alice@example.test" use_from=yes
set editor="sh -c 'printf \\"typed in the editor\\\\n\\" >> \\"$0\\"'" autoedit=yes
set charset="utf-8" send_charset="utf-8" sort=date index_format="%3C %Z %s" quit=yes delete=yes confirmappend=no
set imap_list_subscribed=no imap_check_subscribed=no mail_check=5 timeout=2 wait_key=no pager_index_lines=0 recall=no
set abort_nosubject=no fast_reply=yes include=yes move=no postpone=yes arrow_cursor=no mark_old=no
""")


def mutt_session(h, program, service):
    need(program)
    fill(h)
    h.clear("alice", "Drafts")
    h.clear("alice", "Trash")
    fill(h, mailbox=INNER, mail=[letter("\u9879\u76ee\u8fdb\u5ea6", number=40)])
    with home() as folder:
        rc = muttrc(h, folder, service)
        os.makedirs(f"{folder}/cache")
        words = (program, "-n", "-F", rc, "-d", "2")
        if program == "neomutt":
            words += ("-l", log_path(f"{program}-{service}-debug"))
        with Screen(folder, f"{program}-{service}", *words) as s:
            mutt_reads(h, s)
            mutt_writes(h, s)
            s.keys("q")
            s.ended()
        wait_until(lambda: flags_of(h, 3) is None, what="the removal of letter 3")
        contains(flags_of(h, 1), "\\Flagged")
        contains(flags_of(h, 1), "\\Seen")
        with h.imap(select="INBOX") as t:
            t.append(letter("meanwhile", number=50, day=9))
            t.ok("STORE 1 +FLAGS (\\Flagged)")
        check(os.path.exists(f"{folder}/cache/headers"), "there is no cache of headers")
        with Screen(folder, f"{program}-{service}-again", *words) as s:  # what it has in its cache, and what changed
            s.wait(*SUBJECTS[:3], *SUBJECTS[4:], "meanwhile", gone=("plain words",))
            h.send("alice", "Subject: live\r\n\r\nhello\r\n")
            s.wait("live", seconds=20)
            s.keys("q")
            s.ended()
        if os.path.exists(f"{folder}/.muttdebug0"):
            os.replace(f"{folder}/.muttdebug0", log_path(f"{program}-{service}-debug"))
    drop(h, INNER, FOLDER)


def mutt_reads(h, s):
    s.wait(*SUBJECTS)
    s.keys(" /~s 会议", "Enter", "Enter")  # to the second letter, and open it
    s.wait("\u4e0b\u5348\u4e09\u70b9\u5f00\u4f1a")
    s.keys("i")
    s.wait(SUBJECTS[0], SUBJECTS[5])
    s.keys("F")  # flag
    s.keys(" l~b 你好", "Enter")  # only those whose text has it
    s.wait(SUBJECTS[0], gone=SUBJECTS[3:])
    s.keys(" l.", "Enter")
    s.wait(*SUBJECTS)
    s.keys(" ot")  # by thread
    s.wait("└─>")
    s.keys(" od")
    s.wait(*SUBJECTS, gone=("└─>",))
    s.keys(" c=" + INNER.split(" ")[0], "C-v", "Space", " " + INNER.split(" ")[1], "Enter")  # a bare blank completes
    s.wait("\u9879\u76ee\u8fdb\u5ea6")
    s.keys(" c!", "Enter")
    s.wait(*SUBJECTS)


def mutt_writes(h, s):
    s.keys(" /~s 会议", "Enter", "r")  # reply, and postpone it
    s.wait("Re: " + SUBJECTS[1], "y:")
    s.keys("q")
    s.wait(*SUBJECTS[2:4])
    wait_until(lambda: drafts(h), what="the postponed reply")
    contains(drafts(h)[0], b"typed in the editor")
    contains(drafts(h)[0], b"In-Reply-To: <letter-1@example.org>")
    s.keys(" /~s plain", "Enter", "d", "$")  # delete
    s.wait(*SUBJECTS[:3], gone=("plain words",))
    with h.imap(select="Trash") as t:
        equal(t.count(), 1, "letters in Trash")


def test_neomutt_tls(h):
    mutt_session(h, "neomutt", "imaps")


def test_mutt_starttls(h):
    mutt_session(h, "mutt", "imap")


# ---- alpine ----

def test_alpine(h):
    need("alpine")
    fill(h, mail=[m.replace(b"gb18030", b"gb2312") for m in letters()])  # it knows no gb18030
    h.clear("alice", "Drafts")
    fill(h, mailbox=FOLDER, mail=[letter("\u9879\u76ee\u8fdb\u5ea6", number=40)])
    with home() as folder:
        server = f"{{localhost:{h.ports['imaps']}/ssl/user=alice}}"
        write(f"{folder}/.pinerc", f"""inbox-path={server}INBOX
folder-collections=post {server}[]
postponed-folder={server}Drafts
default-fcc=
user-domain=example.test
personal-name=Alice
feature-list=enable-aggregate-command-set,enable-flag-cmd,enable-full-header-cmd,no-quit-without-confirm,quit-without-confirm,
	expunge-without-confirm,expunge-without-confirm-everywhere,no-enable-arrow-navigation,select-without-confirm,
	no-enable-mail-check-cue,enable-background-sending
keyboard-character-set=UTF-8
display-character-set=UTF-8
sort-key=date
last-version-used=6.26
mail-check-interval=15
initial-keystroke-list=
""")
        with Screen(folder, "alpine", "alpine", "-p", f"{folder}/.pinerc", "-d", "imap=4,flush", width=110, height=40,
                    SSL_CERT_FILE=certificate.path) as s:
            s.wait("PASSWORD", seconds=20)
            s.keys(" " + h.users["alice"], "Enter")
            alpine_starts(s)
            alpine_session(h, s)
            s.keys("q")
            s.ended()
        equal(flags_of(h, 3), None, "letter 3")
        contains(flags_of(h, 1), "\\Flagged")
        if os.path.exists(f"{folder}/.pine-debug1"):
            os.replace(f"{folder}/.pine-debug1", log_path("alpine-debug"))
    drop(h, FOLDER)


def alpine_starts(s):
    if "Preserve password" in s.wait("MAIN MENU", "?", seconds=20):
        s.keys("n")
        s.wait("MAIN MENU", gone=("Preserve password",))
    s.keys("i")
    s.wait(*SUBJECTS[:4])


def alpine_session(h, s):
    s.keys("l")
    s.wait("Drafts", FOLDER)
    s.keys("i")
    s.wait(*SUBJECTS)
    s.keys("j", " 2", "Enter", "Enter")  # to the second letter, and open it
    s.wait("\u4e0b\u5348\u4e09\u70b9\u5f00\u4f1a")
    s.keys("*", "*", "i")  # flag
    s.wait(*SUBJECTS)
    wait_until(lambda: "\\Flagged" in flags_of(h, 1), what="the flag")
    s.keys("$", "h")  # sort by thread
    s.wait("\\-Re: " + SUBJECTS[0])
    s.keys("$", "d")
    s.wait(*SUBJECTS)
    s.keys("j", " 4", "Enter", "d", "x")  # delete
    s.wait(*SUBJECTS[:3], gone=("plain words",))


if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__], config=certificate.config()))
