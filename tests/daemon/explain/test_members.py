"""The people that a face may be taken for."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from uncnn.daemon.explain.members import Member, enrolled
from uncnn.daemon.people.store import People, Person, Template


def test_the_enrolled_are_members() -> None:
    rows = [[0.5, 0.25], [1.0, 0.0]]
    person = Person("Ada", datetime.now(UTC), [Template("openvino-0095", "a" * 64, rows)])
    assert enrolled(People(people=[person])) == [Member("Ada", {"a" * 64: rows})]


def test_who_only_asks_needs_no_library_of_arrays() -> None:
    code = "import sys, uncnn.daemon.explain.explained, uncnn.daemon.explain.members; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
