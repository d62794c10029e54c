"""tools/gdb_fibers.py on a living process and on its core file. Usage: test_gdb.py PROGRAM SCRIPT SANITIZERS"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SKIP = 77
FIBERS = (("imap", "session_of_alice", "[IDLE alice]"), ("smtp", "session_of_bob", ""), ("pop3", "session_of_bob", ""))


def gdb(*args):
    command = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off", *args]
    got = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=100)
    return got.stdout


def wrong(what, text):
    print(f"FAILED: {what}\n{text}")
    return 1


def judge(kind, text):
    """Three fibers by name, place and label, in their numbers, and the frames of two of them, innermost first."""
    rows = re.findall(r"^ *(\d+) +(\d+) +(\w+) +(\w+) +([\d.]+) s  (\w+) parked_fibers\.c:\d+ *(.*)$", text, re.M)
    if [(r[2], r[5], r[6]) for r in rows] != list(FIBERS):
        return wrong(f"{kind}: info fibers", text)
    if any(r[3] != "parked" or float(r[4]) > 600 for r in rows):
        return wrong(f"{kind}: state or time", text)
    if rows[0][1] != rows[1][1] or rows[1][1] == rows[2][1]:
        return wrong(f"{kind}: threads", text)
    frames = re.findall(r"^#\d+ .*?(?:in )?(\w+) \(", text, re.M)
    wanted = ["to_loop", "fiber_park", "fiber_signal_wait"] + ["session_of_alice"] * 4 + ["fiber_main", "fiber_boot"]
    at = 0
    for name in frames:  # others may stand between, where the compiler made two of one
        at += at < len(wanted) and name == wanted[at]
    if at < len(wanted):
        return wrong(f"{kind}: backtrace of fiber 1, {wanted[at]} is missing", text)
    if "letters=" not in text.split("LOOK")[1].split("There are")[0]:
        return wrong(f"{kind}: fiber 3 is not the other session", text)
    if text.split("BEFORE")[1].split("LOOK")[0] != text.split("AFTER")[1].split("END")[0]:
        return wrong(f"{kind}: what was selected is not put back", text)
    if "There are 3 fibers." not in text:
        return wrong(f"{kind}: fiber 99", text)
    print(f"ok: {kind}")
    return 0


def main():
    program, script, sanitized = sys.argv[1], sys.argv[2], sys.argv[3] != "none"
    if not shutil.which("gdb"):
        print("skipped: no gdb")
        return SKIP
    look = [f"source {script}", "echo BEFORE\\n", "bt 3", "echo LOOK\\n", "info fibers", "fiber 1", "fiber 3 bt", "fiber 99",
            "echo AFTER\\n", "bt 3", "echo END\\n"]
    look = [word for command in look for word in ("-ex", command)]
    folder = tempfile.mkdtemp(prefix="posthouse-gdb-")
    core = os.path.join(folder, "core")
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "parked\n":
            return wrong("the program does not park its fibers", "")
        text = gdb("-p", str(process.pid), *look, *([] if sanitized else ["-ex", f"gcore {core}"]))
        if "Operation not permitted" in text and "BEFORE\n" in text and "parked_fibers.c" not in text:
            print("skipped: gdb may not look into processes here")
            return SKIP
        bad = judge("a living process", text)
        if process.poll() is not None:
            bad = wrong("the process did not survive being looked at", text)
        if not sanitized:  # their shadow memory is too much for a core file
            bad += judge("a core file", gdb(program, core, *look))
        return 1 if bad else 0
    finally:
        process.stdin.close()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
