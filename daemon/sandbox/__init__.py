"""What a process that decodes strangers' files may do: read and write in a few folders, and nothing else."""

from uncnn.daemon.sandbox.entering import Protection, enter, held_in_all, offered
from uncnn.daemon.sandbox.rules import Sandbox, sandbox_for

__all__ = ["Protection", "Sandbox", "enter", "held_in_all", "offered", "sandbox_for"]
