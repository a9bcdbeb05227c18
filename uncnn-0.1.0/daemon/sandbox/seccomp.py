"""seccomp: system calls that a process may not make any more, whoever has taken it over.

A program of classic BPF (`linux/filter.h`, seccomp(2)) that the kernel runs at each system call; libseccomp need not be
there. It names what is refused, not what is allowed: torch, ONNX Runtime and a GPU's driver are to go on with newer
kernels and libraries. Files are Landlock's part; here is what Landlock does not know.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Final

Numbers = dict[str, int]

# fmt: off
_BOTH: Final[Numbers] = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434, "clone3": 435,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443, "process_mrelease": 448,
    "fchmodat2": 452, "setxattrat": 463, "removexattrat": 466,
}
"""System calls that came when all architectures got the same numbers."""

_OTHERS: Final[dict[str, tuple[int | None, int | None]]] = {  # x86_64, aarch64
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "accept": (43, 202), "accept4": (288, 242),
    "bind": (49, 200), "bpf": (321, 280), "chmod": (90, None), "chown": (92, None), "chroot": (161, 51),
    "clock_adjtime": (305, 266), "clock_settime": (227, 112), "clone": (56, 220), "connect": (42, 203),
    "delete_module": (176, 106), "execve": (59, 221), "execveat": (322, 281), "fanotify_init": (300, 262),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchown": (93, 55), "fchownat": (260, 54), "finit_module": (313, 273),
    "fork": (57, None), "fremovexattr": (199, 16), "fsetxattr": (190, 7), "futimesat": (261, None),
    "init_module": (175, 105), "inotify_init": (253, None), "inotify_init1": (294, 26), "ioctl": (16, 29),
    "ioperm": (173, None), "iopl": (172, None), "kcmp": (312, 272), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "kill": (62, 129), "lchown": (94, None), "listen": (50, 201),
    "lookup_dcookie": (212, 18), "lremovexattr": (198, 15), "lsetxattr": (189, 6), "modify_ldt": (154, None),
    "mount": (165, 40), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "perf_event_open": (298, 241), "personality": (135, 92), "pivot_root": (155, 41),
    "prlimit64": (302, 261), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "quotactl": (179, 60), "reboot": (169, 142), "removexattr": (197, 14), "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "semget": (64, 190), "setdomainname": (171, 162),
    "sethostname": (170, 161), "setns": (308, 268), "settimeofday": (164, 170), "setxattr": (188, 5),
    "shmget": (29, 194), "socket": (41, 198), "swapoff": (168, 225), "swapon": (167, 224), "syslog": (103, 116),
    "tgkill": (234, 131), "tkill": (200, 130), "truncate": (76, 45), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "uselib": (134, None), "utime": (132, None), "utimensat": (280, 88),
    "utimes": (235, None), "vfork": (58, None), "vhangup": (153, 58),
}

_CONDITIONAL: Final = {
    "clone", "clone3", "fork", "vfork", "execve", "execveat", "socket", "connect", "bind", "listen", "accept",
    "accept4", "ioctl", "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "prlimit64",
}
# fmt: on

_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of `_OTHERS`, and the number that the kernel gives it (`linux/audit.h`)."""

_LOCAL: Final = ("connect", "bind", "listen", "accept", "accept4")
_PROCESSES: Final = ("fork", "vfork", "execve", "execveat")
_SIGNALS: Final = ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_TERMINAL: Final = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD: typing into the terminal
_NEW_NAMESPACES: Final = 0x7E020000  # CLONE_NEW*
_THREAD: Final = 0x00010000  # CLONE_THREAD

_LOAD, _EQUAL, _LEAST, _SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32: Final = 0x40000000
_MOST: Final = 4096

_SET_NO_NEW_PRIVILEGES: Final = 38
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _ALL_THREADS = 1, 1

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value

_libc = ctypes.CDLL(None, use_errno=True)


def available() -> bool:
    """Return whether the kernel has filters, and this machine's numbers are known."""
    action = ctypes.c_uint32(_ALLOW)
    number = _SECCOMP.get(platform.machine()) if platform.system() == "Linux" else None
    return number is not None and _libc.syscall(number, 2, 0, ctypes.byref(action)) == 0  # is the action known?


def restrict(local_sockets: bool, programs: bool, signals: bool) -> None:
    """Refuse what a decoder never needs to this process, all its threads and what it starts, for good.

    `local_sockets`: UNIX sockets may be used, as a GPU's driver does. `programs`: others may be started. `signals`:
    something else sees to it that it sends none to others. No new privileges can be gained from now on.

    Raises OSError.
    """
    filter_ = b"".join(struct.pack("=HBBI", *each) for each in program(local_sockets, programs, signals, os.getpid()))
    buffer = ctypes.create_string_buffer(filter_, len(filter_))
    length = len(filter_) // 8
    described = struct.pack("HP", length, ctypes.addressof(buffer))
    if _libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no new privileges could not be set")
    if _libc.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, _ALL_THREADS, described) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def program(local_sockets: bool, programs: bool, signals: bool, process: int) -> list[Instruction]:
    """Return the filter of the process of this number. Raises KeyError: the architecture is not known."""
    column, architecture = _MACHINES[platform.machine()]
    numbers = dict(_BOTH)
    for name, each in _OTHERS.items():
        if (number := each[column]) is not None:
            numbers[name] = number
    refused = set(numbers) - _CONDITIONAL
    if not local_sockets:
        refused |= {*_LOCAL, "socket"}
    if not programs:
        refused |= set(_PROCESSES)
    made: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if architecture == _MACHINES["x86_64"][1]:
        made += [(_LEAST, 0, 1, _X32), _error(errno.EPERM)]
    for name in sorted(refused & set(numbers)):
        made += _at(numbers[name], [_error(errno.EPERM)])
    made += _at(numbers["clone3"], [_error(errno.ENOSYS)])  # its flags lie in memory: the C library takes clone then
    if local_sockets:
        made += _at(numbers["socket"], _unless(0, [socket.AF_UNIX]))
    if not signals:
        for name in _SIGNALS:
            made += _at(numbers[name], _unless(0, [process]))
    made += _at(numbers["prlimit64"], _unless(0, [0, process]))
    made += _at(numbers["ioctl"], _where(1, _TERMINAL))
    made += _at(numbers["clone"], list(_clone(programs)))
    made.append((_RETURN, 0, 0, _ALLOW))
    assert len(made) < _MOST
    return made


def _at(number: int, body: Sequence[Instruction]) -> list[Instruction]:
    """Return what does `body`, which returns, at the system call of this number."""
    return [(_EQUAL, 0, len(body), number), *body]


def _unless(argument: int, values: Sequence[int]) -> list[Instruction]:
    """Return what refuses a call whose argument is none of `values`."""
    tests = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(argument), *tests, _error(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _where(argument: int, values: Sequence[int]) -> list[Instruction]:
    """Return what refuses a call whose argument is one of `values`."""
    tests = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_argument(argument), *tests, (_RETURN, 0, 0, _ALLOW), _error(errno.EPERM)]


def _clone(programs: bool) -> Iterator[Instruction]:
    """Yield what refuses new namespaces and, but where `programs` may be started, anything but a thread."""
    yield _argument(0)
    yield (_SET, 0, 1, _NEW_NAMESPACES)
    yield _error(errno.EPERM)
    if not programs:
        yield (_SET, 1, 0, _THREAD)
        yield _error(errno.EPERM)
    yield (_RETURN, 0, 0, _ALLOW)


def _argument(place: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * place)  # the lower half, on machines of this byte order


def _error(code: int) -> Instruction:
    return (_RETURN, 0, 0, _ERROR | code)
