"""The file of the enrolled people: commands that change it at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from uncnn.daemon.jobs import enrolment
from uncnn.daemon.jobs.enrolment import forget
from uncnn.daemon.people import store
from uncnn.daemon.people.store import People, PeopleError, Person, changing, people_file, read_people, write_people

NAMES = ("Ada", "Bob", "Eve", "Joe")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(tmp_path / "state"))


def test_changes_at_the_same_time_wait_for_each_other_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    write_people(people_file(), People(people=[Person(name, datetime.now(UTC), []) for name in NAMES]))

    def slowly(file: Path, people: People) -> None:
        time.sleep(0.2)  # in which another would read what this one is about to replace
        store.write_people(file, people)

    monkeypatch.setattr(enrolment, "write_people", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: forget([name]), NAMES[:3]))
    assert [person.name for person in read_people().people] == ["Joe"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(PeopleError, match="gone cannot be opened"), changing(tmp_path / "gone" / "people.json"):
        pass
