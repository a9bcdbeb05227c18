"""Runs a command under the system calls that a unit permits, `python under_filter.py COMMAND...`; others fail."""

import ctypes
import os
import subprocess
import sys

ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050001


def calls(*names: str) -> set[str]:
    """Return the system calls of systemd's sets, those of the sets inside them included."""
    found: set[str] = set()
    for name in names:
        answer = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in answer.stdout.splitlines() if line.startswith(" ")]
        members = [line.split()[0] for line in lines if line and not line.startswith("#")]
        found |= {member for member in members if not member.startswith("@")}
        found |= calls(*(member for member in members if member.startswith("@")))
    return found


if __name__ == "__main__":
    permitted = calls("@system-service") - calls("@privileged", "@resources")
    permitted |= {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"}
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ERRNO_EPERM))
    for call in permitted:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            library.seccomp_rule_add(rules, ALLOW, number, 0)
    assert library.seccomp_load(rules) == 0
    os.execvp(sys.argv[1], sys.argv[1:])
