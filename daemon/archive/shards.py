"""Shares of an archive: which one a process works, and which photos belong to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from uncnn.daemon.output import USAGE
from uncnn.plugins.api import UncnnError

_VARIABLES: Final = (
    *(f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT")),
    *("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
)


class ShardError(UncnnError):
    """A share that cannot be."""

    exit_status: ClassVar[int] = USAGE


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several shares; what is in it is told by a hash, so that all are about as large."""

    number: int = 1  # from 1 on
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the share that is written as `3/64`. Raises ShardError."""
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ShardError(f"--shard {text!r}: write it as 3/64, the first of 64 being 1/64")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> Shard:
        """Return the share of a task of a Slurm array or a Kubernetes indexed job, the only one elsewhere.

        Slurm says which numbers an array has; a Kubernetes job has to be told in `JOB_COMPLETIONS` how many it is of.

        Raises ShardError: half of it is said, or what is said is no number or no share.
        """
        for name in _VARIABLES:
            if not re.fullmatch(r"[0-9]*", environment.get(name, "")):
                raise ShardError(f"{name} is {environment[name]!r}, which is no number: unset it, or give --shard")
        if "SLURM_ARRAY_TASK_ID" in environment:
            number, first = (environment.get(f"SLURM_ARRAY_TASK_{name}", "0") for name in ("ID", "MIN"))
            many, last = (environment.get(f"SLURM_ARRAY_TASK_{name}", "") for name in ("COUNT", "MAX"))
            if last and int(last) - int(first) + 1 != int(many or 0):
                raise ShardError("the Slurm array has gaps in its numbers: use --array=1-N, or give --shard")
            return cls._told(int(number) - int(first) + 1, int(many or 0), "SLURM_ARRAY_TASK_ID")
        if "JOB_COMPLETION_INDEX" in environment:
            many = environment.get("JOB_COMPLETIONS", "")
            if not many:
                remedy = "set the variable JOB_COMPLETIONS to the job's `completions`, or give --shard"
                raise ShardError(f"JOB_COMPLETION_INDEX says which share this is, nothing says of how many: {remedy}")
            return cls._told(int(environment["JOB_COMPLETION_INDEX"]) + 1, int(many), "JOB_COMPLETION_INDEX")
        return cls()

    @classmethod
    def _told(cls, number: int, of: int, variable: str) -> Shard:
        if not 1 <= number <= of:
            raise ShardError(f"{variable} says share {number} of {of}, which there is not: unset it, or give --shard")
        return cls(number, of)

    def holds(self, row: str) -> bool:
        """Return whether a photo belongs to it, by the hexadecimal name of its row."""
        return int(row, 16) % self.of == self.number - 1

    @property
    def words(self) -> str:
        """Return it as it is given."""
        return f"{self.number}/{self.of}"
