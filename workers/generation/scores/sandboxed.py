"""Run by `sandbox.py` as a script: limits itself, then runs the program on stdin. Imports nothing of ours.

Arguments: the file descriptor that takes the sign of success, bytes of memory, bytes of a file, seconds. The first line
of stdin is the sign, the rest the program.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

# Numbers of system calls: socket and io_uring_setup; the machine's number in seccomp's data.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING = 425
_X32 = 0x40000000  # x86-64 answers calls of this second table, too
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2


def _cut_network() -> None:
    """Have the kernel refuse sockets to this process and all that it starts. Raises OSError where it does not."""
    machine, socket = _MACHINES[platform.machine()]
    program = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 3, 0, _X32),
        (_EQUAL, 2, 0, socket),
        (_EQUAL, 1, 0, _IO_URING),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero) != 0 or (
        libc.prctl(_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.c_void_p(ctypes.addressof(whole)), zero, zero) != 0
    ):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def _limit(memory: int, file_size: int, seconds: float) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


_NEVER = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.kill",
    "ctypes.",
    "socket.",
)
_CHANGES = {  # places of the paths among an event's arguments, each with the place of its folder's number
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.symlink": ((1, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.truncate": ((0, None),),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _guard(folder: str) -> None:
    """Have Python refuse what a solution of an exercise never needs."""
    inside = folder + os.sep
    realpath, readlink, join, text = os.path.realpath, os.readlink, os.path.join, os.fsdecode
    paths = (str, bytes, os.PathLike)

    def outside(path: object, beside: object = -1) -> bool:
        if not isinstance(path, paths):
            return isinstance(path, int)  # the number of a file that is open already
        start = readlink(f"/proc/self/fd/{beside}") if isinstance(beside, int) and beside >= 0 else folder
        return not (realpath(join(start, text(path))) + os.sep).startswith(inside)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_NEVER):
            raise PermissionError(f"{event} is not allowed here")
        if event == "open":
            mode = arguments[2]
            found = isinstance(mode, int) and bool(mode & _WRITING) and outside(arguments[0])
        else:
            places = _CHANGES.get(event, ())
            found = any(outside(arguments[path], -1 if at is None else arguments[at]) for path, at in places)
        if found:
            raise PermissionError(f"{event} outside {folder} is not allowed")

    sys.addaudithook(hook)


def _main() -> None:
    target, memory, file_size, seconds = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    sign, _, source = sys.stdin.buffer.read().decode(errors="surrogatepass").partition("\n")
    os.set_inheritable(target, False)
    _cut_network()
    _limit(memory, file_size, seconds)
    compiled = compile(source, "program.py", "exec")
    _guard(os.path.realpath(os.getcwd()))
    exec(compiled, {"__name__": "__main__"})
    os.write(target, sign.encode())


if __name__ == "__main__":
    _main()
