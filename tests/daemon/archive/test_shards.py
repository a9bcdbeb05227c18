"""Which share a process works."""

from __future__ import annotations

import re

import pytest

from uncnn.daemon.archive.manifest import Row
from uncnn.daemon.archive.shards import Shard, ShardError

ROWS = [Row(f"{number}.jpg", number, "", f"{number}.jpg").id for number in range(6400)]


def test_every_row_is_in_one_share_and_shares_are_about_as_large() -> None:
    shares = [Shard(number, 64) for number in range(1, 65)]
    sizes = [sum(share.holds(row) for row in ROWS) for share in shares]
    assert sum(sizes) == 6400
    assert min(sizes) > 60
    assert max(sizes) < 150


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ShardError, match="3/64"):
        Shard.parse(text)


def test_a_row_is_another_once_its_photo_has_changed() -> None:
    first = Row("a.jpg", 1, "1", "a.jpg")
    assert len({first.id, Row("a.jpg", 2, "1", "a.jpg").id, Row("a.jpg", 1, "2", "a.jpg").id}) == 3
    assert first.id == Row("a.jpg", 1, "1", "another.jpg").id


SLURM = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "63", "SLURM_ARRAY_TASK_COUNT": "64"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Shard(1, 1)),
        ({"SLURM_ARRAY_TASK_ID": "0", **SLURM}, Shard(1, 64)),
        ({"SLURM_ARRAY_TASK_ID": "63", **SLURM}, Shard(64, 64)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "8",
                "SLURM_ARRAY_TASK_COUNT": "8",
            },
            Shard(3, 8),
        ),
        ({"JOB_COMPLETION_INDEX": "0", "JOB_COMPLETIONS": "16"}, Shard(1, 16)),
        ({"JOB_COMPLETION_INDEX": "15", "JOB_COMPLETIONS": "16"}, Shard(16, 16)),
    ],
)
def test_a_batch_system_says_which_share_it_is(environment: dict[str, str], expected: Shard) -> None:
    assert Shard.of_environment(environment) == expected


def test_an_array_with_gaps_is_refused() -> None:
    with pytest.raises(ShardError, match="gaps"):
        Shard.of_environment({"SLURM_ARRAY_TASK_ID": "5", **SLURM, "SLURM_ARRAY_TASK_COUNT": "3"})


def test_an_index_without_a_count_is_refused() -> None:
    with pytest.raises(ShardError, match="JOB_COMPLETIONS"):
        Shard.of_environment({"JOB_COMPLETION_INDEX": "3"})


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SLURM_ARRAY_TASK_ID": "%a", **SLURM}, "SLURM_ARRAY_TASK_ID is '%a', which is no number: unset it"),
        ({"SLURM_ARRAY_TASK_ID": "64", **SLURM}, "SLURM_ARRAY_TASK_ID says share 65 of 64"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_ID says share 2 of 0"),
        ({"JOB_COMPLETION_INDEX": "a", "JOB_COMPLETIONS": "16"}, "JOB_COMPLETION_INDEX is 'a', which is no number"),
        ({"JOB_COMPLETION_INDEX": "1", "JOB_COMPLETIONS": "many"}, "JOB_COMPLETIONS is 'many', which is no number"),
        ({"JOB_COMPLETION_INDEX": "16", "JOB_COMPLETIONS": "16"}, "JOB_COMPLETION_INDEX says share 17 of 16"),
    ],
)
def test_what_a_batch_system_says_wrongly_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ShardError, match=f"^{re.escape(words)}.*give --shard"):
        Shard.of_environment(environment)
