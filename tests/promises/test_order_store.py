#!/usr/bin/env python3
"""Promises D1 and D17: the order of system calls. Before each answer, in this order and each one ended: the record was
written to a volume, that volume was synced. A volume's first record comes after its file and its folder were synced; so
does a big blob's. A checkpoint: the engine's file is synced, then the new checkpoint is written, it is synced, it takes
the old one's name, the folder is synced; the first one before the first record, the last one after the last answer.

Exit status 77: skipped, because this place does not allow tracing."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CALLS = "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,openat,open,rename,renameat,renameat2"


def events(text):
    """(start line, end line, call, arguments, result) of each call, in order of their ends; -1 and None: unfinished."""
    begun, out = {}, []
    for at, line in enumerate(text.splitlines()):
        m = re.match(r"^(\d+) +(.*)$", line)
        if not m:
            continue
        pid, rest = m.groups()
        resumed = re.match(r"^<\.\.\. (\w+) resumed>(.*)$", rest)
        if resumed:
            start, call, head = begun.pop(pid)
            rest = head + resumed.group(2)
        else:
            call, start = rest.split("(", 1)[0], at
            if rest.endswith("<unfinished ...>"):
                begun[pid] = (at, call, rest[: -len("<unfinished ...>")])
                continue
        result = re.search(r"\) += (-?\d+)", rest)
        if result:
            out.append((start, at, call, rest, int(result.group(1))))
    return out


def path_of(args):
    m = re.search(r"\(\d+<([^>]*)>", args)
    return m.group(1) if m else ""


def is_record(call, args):
    """The write of a record, not of the zeroes ahead of it."""
    return call == "pwritev" and path_of(args).endswith(".vol") and 'iov_base="PHR1' in args


class Order:
    def __init__(self, found):
        self.found = sorted(found)
        self.runs, self.answers, self.big = {}, {}, None
        for start, end, call, args, result in self.found:
            said = re.search(r'write\(1(?:<[^>]*>)?, "(\w+) (\d+)\\n"', args)
            if said and said.group(1) == "run":
                self.runs[int(said.group(2))] = start
            elif said and said.group(1) == "answer":
                self.answers[int(said.group(2))] = start
            elif said and said.group(1) == "big":
                self.big = start

    def next(self, after, what):
        """End of the first call that began after `after`, went well, and is what is looked for; with its path."""
        for start, end, call, args, result in self.found:
            if start > after and result >= 0 and what(call, args):
                return end, path_of(args)
        return None, ""

    def check_answer(self, number):
        after, answer = self.runs[number], self.answers[number]
        end, volume = self.next(after, is_record)
        steps = [(end, "the record's write")]
        end, _ = self.next(end or after, lambda c, a: c == "fdatasync" and path_of(a) == volume)
        steps.append((end, f"fdatasync of {volume}"))
        for end, name in steps:
            if end is None or end >= answer:
                return f"intent {number}: answered at line {answer}, but {name} ended at {end}"
        return None

    def check_volume(self, volume):
        first, _ = self.next(-1, lambda c, a: is_record(c, a) and path_of(a) == volume)
        folder = str(pathlib.Path(volume).parent)
        made = next((e for s, e, c, a, r in self.found if c == "openat" and f'"{pathlib.Path(volume).name}"' in a
                     and "O_CREAT" in a and r >= 0), None)
        file_synced, _ = self.next(made, lambda c, a: c == "fsync" and path_of(a) == volume)
        folder_synced, _ = self.next(file_synced or made, lambda c, a: c == "fsync" and path_of(a) == folder)
        if not file_synced or not folder_synced or folder_synced >= first:
            return f"{volume}: first record at {first}, file synced at {file_synced}, folder at {folder_synced}"
        return None

    def checkpoints(self):
        """Of each, (begin, end) of its five steps."""
        found = []
        for begin, end, call, args, result in self.found:
            if not call.startswith("rename") or '"checkpoint.new"' not in args or result < 0:
                continue
            before = [(s, e, c, path_of(a)) for s, e, c, a, r in self.found if e < begin and r >= 0]
            synced = [x for x in before if x[2] == "fsync" and x[3].endswith("/checkpoint.new")]
            written = [x for x in before if x[2] == "pwrite64" and x[3].endswith("/checkpoint.new")]
            data = [x for x in before if x[2] == "fdatasync" and x[3].endswith("/data.mdb")]
            folder = [(s, e) for s, e, c, a, r in self.found
                      if s > end and r >= 0 and c == "fsync" and path_of(a).endswith("/keys")]
            found.append([x[-1][:2] if x else None for x in (data, written, synced)]
                         + [(begin, end), folder[0] if folder else None])
        return found

    def check_checkpoints(self):
        found = self.checkpoints()
        for steps in found:
            if None in steps or any(a[1] >= b[0] for a, b in zip(steps, steps[1:])):
                return f"checkpoint: sync of the data, write, sync, rename, sync of the folder were at {steps}"
        for one, two in zip(found, found[1:]):
            if two[0][0] <= one[4][1]:
                return f"two checkpoints share a sync of the data: {one}, {two}"
        first, _ = self.next(-1, is_record)
        if len(found) < 3 or found[0][4][1] >= first or found[-1][0][0] <= max(self.answers.values()):
            return f"{len(found)} checkpoints: {found}; first record at {first}"
        return None

    def check_big(self):
        file_synced, path = self.next(-1, lambda c, a: c == "fsync" and "/big/" in path_of(a))
        folder_synced, _ = self.next(file_synced or -1, lambda c, a: c == "fsync" and path_of(a).endswith("/big"))
        if not file_synced or not folder_synced or folder_synced >= self.runs[1000]:
            return f"big blob: joined its group at {self.runs[1000]}, file synced at {file_synced}, folder at {folder_synced}"
        return None


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="posthouse-order-") as folder:
        log = pathlib.Path(folder) / "strace"
        store = pathlib.Path(folder) / "store"
        store.mkdir()
        try:
            run = subprocess.run(["strace", "-f", "-y", "-o", str(log), "-e", f"trace={CALLS}", program, str(store)],
                                 capture_output=True, text=True, timeout=100,
                                 env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))  # it traces itself, too
        except FileNotFoundError:
            print("skipped: strace is not installed")
            return 77
        denied = re.search(r"^.*strace: .*(ptrace|PTRACE).*(not permitted|denied).*$", run.stderr, re.M)
        if denied:
            print("skipped: tracing is not allowed here:", denied.group(0))
            return 77
        if run.returncode != 0:
            print(run.stderr)
            return 1
        order = Order(events(log.read_text(errors="replace")))
    bad = [order.check_answer(n) for n in sorted(order.answers)]
    volumes = {path_of(a) for _, _, c, a, _ in order.found if is_record(c, a)}
    bad += [order.check_volume(v) for v in sorted(volumes)]
    bad += [order.check_big(), order.check_checkpoints()]
    bad = [b for b in bad if b]
    print("\n".join(bad) if bad else f"{len(order.answers)} answers, {len(volumes)} volumes, "
          f"{len(order.checkpoints())} checkpoints, in order")
    if len(order.answers) != 31 or len(volumes) < 3:
        print(f"too little seen: {len(order.answers)} answers, {len(volumes)} volumes")
        return 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
