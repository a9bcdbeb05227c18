"""The bar: it goes on within a photo and never back, fits its terminal, makes way for words, and says how long."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from uncnn.daemon.protect.wire import Stage
from uncnn.daemon.terminal.progress import Pace, Within, progress_bar
from uncnn.daemon.text import duration

LOOKS = Stage("looking for faces")
CHECKS = Stage("checking")


def cloaks(done: float, strength: str = "balanced") -> Stage:
    return Stage(f"cloaking, {strength}", done, 4)


def test_a_photo_that_is_cloaked_more_strongly_never_goes_back() -> None:
    within = Within()
    path = [LOOKS, *map(cloaks, (1, 2, 4)), CHECKS]
    path += [*(cloaks(done, "strong") for done in (0, 1, 4)), CHECKS, cloaks(0, "utmost"), cloaks(4, "utmost"), CHECKS]
    shares = [within.note(step) for step in path]
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
    assert shares[2] > shares[1] > 0, "it moves while one strength is at work"
    assert shares[5] < shares[6] < shares[7], "and at the next one"


def test_the_time_left_is_that_of_the_photos_so_far() -> None:
    now = [0.0]
    pace = Pace(4, clock=lambda: now[0])
    assert pace.left(0.0) is None
    pace.next()
    now[0] = 10.0
    assert pace.left(0.05) is None, "too early to say"
    assert pace.left(0.5) == pytest.approx(10 + 3 * 20)
    now[0] = 20.0
    pace.next()
    assert pace.left(0.0) == pytest.approx(3 * 20)
    now[0] = 30.0
    assert pace.left(0.5) == pytest.approx(10 + 2 * 20)
    now[0] = 60.0
    pace.next()
    now[0] = 200.0
    assert pace.left(0.9) >= 30, "a photo that takes longer than all before leaves the others"


@pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (180, "3 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_times_are_said_in_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_the_line_fits_its_terminal_and_nothing_is_glued_to_it(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, legacy_windows=False, color_system=None)
    with progress_bar(1234, quiet=False, console=console) as bar:
        for number in range(2):
            bar.begin(f"/a/folder/[red]{number} of a rather long name [/red].jpg")
            bar.report(cloaks(1, "balanced"))
            with bar.aside():
                out.write("a line of words\n")
    lines = [line for part in plain(out.getvalue()).split("\n") for line in part.split("\r") if line.strip()]
    assert max(map(len, lines)) <= width
    assert [line for line in lines if "words" in line] == ["a line of words"] * 2
    shown = [line for line in lines if "%" in line]
    assert shown
    assert all(" %" in line for line in shown)
    if width >= 80:
        assert any("cloaking" in line for line in shown)
        assert all("1/1234 " in line or "2/1234 " in line for line in shown if "cloaking" in line)


def test_what_is_no_terminal_gets_no_bar() -> None:
    out = io.StringIO()
    with progress_bar(2, quiet=False, console=Console(file=out)) as bar:
        bar.begin("a.jpg")
        bar.report(cloaks(1))
        with bar.aside():
            out.write("a line\n")
    assert out.getvalue() == "a line\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_has_a_line_a_minute_where_that_is_asked_for(quiet: bool) -> None:
    out, now = io.StringIO(), [0.0]
    console = Console(file=out, width=20)
    with progress_bar(40, quiet, console, logged=True, clock=lambda: now[0]) as bar:
        for number in range(5):
            now[0] = 30.0 * number
            bar.begin(f"{number}.jpg")
            bar.report(cloaks(1))
    assert out.getvalue() == ("" if quiet else "photo 3 of 40, 19 min left\nphoto 5 of 40, 18 min left\n")


def plain(text: str) -> str:
    """Return what a terminal was sent without its control sequences."""
    import re

    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
