"""Fibers in gdb, of a running role or of a core file: source tools/gdb_fibers.py, then

    info fibers             all fibers of all loops: number, thread, name, state, for how long, where, label
    fiber N                 the backtrace of one
    fiber N COMMAND         any command of gdb in the frame in which the fiber parked: fiber 3 bt full

Reads struct loop and struct fiber (src/io/loop_int.h) and what fiber_switch (src/io/switch.S) leaves on a stack.
Nothing is written into the process.
"""
import time

import gdb
import gdb.unwinder

# What fiber_switch pushes, from the saved stack pointer upwards; then where the stack stands after its return.
FRAMES = {
    "i386:x86-64": ({"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}, 64, "rsp", "rip"),
    "aarch64": ({**{f"x{19 + i}": 8 * i for i in range(12)}, "pc": 88}, 176, "sp", "pc"),
}


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class FiberUnwinder(gdb.unwinder.Unwinder):
    """While a fiber is looked at, the caller of the thread's innermost frame is the frame in which the fiber parked.
    So core files work too, whose registers cannot be set."""

    def __init__(self):
        super().__init__("fiber")
        self.sp = None

    def __call__(self, pending):
        if self.sp is None or pending.level() != 0:
            return None
        registers, size, sp_name, pc_name = FRAMES[pending.architecture().name()]
        word = gdb.lookup_type("unsigned long")
        saved = {name: gdb.Value(self.sp + at).cast(word.pointer()).dereference() for name, at in registers.items()}
        # below the frames to come: gdb takes a stack that grows the other way for a broken one
        info = pending.create_unwind_info(FrameId(gdb.Value(self.sp).cast(word), pending.read_register(pc_name)))
        for name, value in saved.items():
            info.add_saved_register(name, value)
        info.add_saved_register(sp_name, gdb.Value(self.sp + size).cast(word))
        return info

    def look_at(self, sp):
        self.sp = sp
        gdb.invalidate_cached_frames()


unwinder = FiberUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def loop_of_thread():
    """struct loop * of the selected thread; None: it has none."""
    try:
        loop = gdb.parse_and_eval("this_loop")
        return loop if int(loop) else None
    except gdb.error:  # no libthread_db: the loop is an argument on the stack of a thread that runs it
        frame = gdb.newest_frame()
        while frame is not None:
            if frame.name() == "loop_run":
                return frame.read_var("l")
            frame = frame.older()
    return None


class Fiber:
    def __init__(self, thread, loop, value):
        self.thread, self.loop, self.value = thread, loop, value
        self.name = value["name"].string()
        self.label = value["label"].string()
        self.running = int(loop["current"]) == int(value)

    def enter(self):
        self.thread.switch()
        if not self.running:
            unwinder.look_at(int(self.value["sp"]))

    def frame(self):
        """After enter: the frame in which it parked, or the innermost."""
        return gdb.newest_frame() if self.running else gdb.newest_frame().older()

    def state(self):
        if self.running:
            return "runs"
        if bool(self.value["canceled"]):
            return "canceled"
        return "ready" if bool(self.value["ready"]) else "parked"

    def place(self):
        """Function, file and line outside of the room io, where the session's own code waits."""
        self.enter()
        first = inner = self.frame()
        while inner is not None:
            where = inner.find_sal()
            if where.symtab and "src/io/" not in where.symtab.filename and inner.name() != "fiber_main":
                break
            inner = inner.older()
        frame = inner or first
        where = frame.find_sal()
        line = f" {where.symtab.filename.split('/')[-1]}:{where.line}" if where.symtab else ""
        return f"{frame.name()}{line}"


class Selection:
    """Puts back what was selected before."""

    def __enter__(self):
        self.thread = gdb.selected_thread()
        self.frame = gdb.selected_frame().level()

    def __exit__(self, *_):
        unwinder.look_at(None)
        self.thread.switch()
        gdb.execute(f"frame {self.frame}", to_string=True)


def all_fibers():
    """By thread, the oldest fiber of each first; so a fiber keeps its number while those before it live."""
    found = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        loop = loop_of_thread()
        fiber = loop["all"] if loop else None
        mine = []
        while fiber is not None and int(fiber):
            mine.append(Fiber(thread, loop, fiber))
            fiber = fiber["next"]
        found += reversed(mine)
    return found


def now_ms(fibers):
    """The machine's clock for a living process, the loops' own for a core file."""
    if gdb.selected_inferior().pid and "core" not in str(gdb.execute("info target", to_string=True).split("\n")[1]):
        return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
    return max(int(f.loop["now"]) for f in fibers)


class InfoFibers(gdb.Command):
    """List all fibers: number, thread, name, state, seconds in it, the function that waits, and the label."""

    def __init__(self):
        super().__init__("info fibers", gdb.COMMAND_STATUS)

    def invoke(self, _, from_tty):
        if gdb.selected_thread() is None:
            raise gdb.GdbError("There is no process and no core file.")
        with Selection():
            fibers = all_fibers()
            if not fibers:
                print("No thread has a loop with fibers.")
                return
            now = now_ms(fibers)
            print(f"{'N':>4} {'thread':>6}  {'name':12} {'state':8} {'since':>9}  parked at")
            for n, f in enumerate(fibers, 1):
                since = max(0, now - int(f.value["parked_since"])) / 1000
                label = f"  [{f.label}]" if f.label else ""
                print(f"{n:4} {f.thread.num:6}  {f.name:12} {f.state():8} {since:7.1f} s  {f.place()}{label}")
                unwinder.look_at(None)


class FiberCommand(gdb.Command):
    """fiber N [COMMAND]: run a command of gdb (without one: bt) where the fiber of that number parked."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 1)
        if not words or not words[0].isdigit():
            raise gdb.GdbError("fiber N [COMMAND]; info fibers shows the numbers.")
        if gdb.selected_thread() is None:
            raise gdb.GdbError("There is no process and no core file.")
        with Selection():
            fibers = all_fibers()
            n = int(words[0])
            if not 1 <= n <= len(fibers):
                raise gdb.GdbError(f"There are {len(fibers)} fibers.")
            fibers[n - 1].enter()
            fibers[n - 1].frame().select()
            text = gdb.execute(words[1] if len(words) > 1 else "bt", to_string=True)
            if text.startswith("#0 ") and not fibers[n - 1].running:  # of the thread, not of the fiber
                text = text[text.find("\n#1 ") + 1:]
            print(text, end="")


InfoFibers()
FiberCommand()
