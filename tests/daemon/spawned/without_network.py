"""Runs a command that is killed, with all of its children, where it opens an internet socket.

`python without_network.py COMMAND...`. The filter is the kernel's, so no library slips past it, and "kill" comes before
whatever another filter says. A name look-up opens such a socket too. Exit status 3: this kernel has no filters.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
SOCKET_CALL = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""AUDIT_ARCH and the number of socket()."""


def program(architecture: int, call: int) -> bytes:
    """Return the filter: kill on socket(AF_INET or AF_INET6, ...), allow all else."""
    lines = [
        (LOAD, 0, 0, 4),  # seccomp_data.arch
        (EQUAL, 0, 6, architecture),
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (EQUAL, 0, 4, call),
        (LOAD, 0, 0, 16),  # the lower half of args[0]
        (EQUAL, 1, 0, socket.AF_INET),
        (EQUAL, 0, 1, socket.AF_INET6),
        (RETURN, 0, 0, KILL_PROCESS),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def install() -> bool:
    """Put this process and its children under the filter; return whether the kernel took it."""
    if platform.machine() not in SOCKET_CALL:
        return False
    filled = program(*SOCKET_CALL[platform.machine()])
    held = ctypes.create_string_buffer(filled)
    given = struct.pack("@HP", len(filled) // 8, ctypes.addressof(held))
    library = ctypes.CDLL(None, use_errno=True)
    return (
        library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        and library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(given), 0, 0) == 0
    )


if __name__ == "__main__":
    if not install():
        sys.exit(3)
    os.execvp(sys.argv[1], sys.argv[1:])
