"""Who is let in, for how long, and how often one may try."""

from __future__ import annotations

import pytest
from clock import Clock

from uncnn.daemon.web import sessions as module
from uncnn.daemon.web.sessions import Sessions, TooManyAttempts, WrongCode


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def test_a_code_works_once(sessions: Sessions) -> None:
    code = sessions.new_code()
    token = sessions.enter(code, "a browser")
    assert sessions.known(token) is not None
    with pytest.raises(WrongCode):
        sessions.enter(code, "another")
    assert len(sessions.all()) == 1


def test_a_code_is_of_no_use_after_an_hour(sessions: Sessions, clock: Clock) -> None:
    code = sessions.new_code()
    clock.now += module.CODE_SECONDS + 1
    with pytest.raises(WrongCode):
        sessions.enter(code, "a browser")


def test_after_wrong_codes_none_is_taken_for_a_while(sessions: Sessions, clock: Clock) -> None:
    code = sessions.new_code()
    for _ in range(module.ATTEMPTS):
        with pytest.raises(WrongCode):
            sessions.enter("guess", "a browser")
    with pytest.raises(TooManyAttempts):
        sessions.enter(code, "a browser")
    clock.now += module.ATTEMPT_SECONDS
    assert sessions.known(sessions.enter(code, "a browser")) is not None


def test_a_session_ends_when_nothing_is_asked(sessions: Sessions, clock: Clock) -> None:
    token = sessions.enter(sessions.new_code(), "a browser")
    for _ in range(3):
        clock.now += module.IDLE_SECONDS - 1
        assert sessions.known(token) is not None
    clock.now += module.IDLE_SECONDS - 1
    assert sessions.known(token, asks=False) is not None
    clock.now += 2
    assert sessions.known(token) is None


def test_a_session_ends_in_any_case(sessions: Sessions, clock: Clock) -> None:
    token = sessions.enter(sessions.new_code(), "a browser")
    end = clock.now + module.LONGEST_SECONDS
    while clock.now + module.IDLE_SECONDS / 2 < end:
        clock.now += module.IDLE_SECONDS / 2
        assert sessions.known(token) is not None
    clock.now = end
    assert sessions.known(token) is None


def test_a_session_is_ended_by_its_number(sessions: Sessions) -> None:
    tokens = [sessions.enter(sessions.new_code(), f"browser {number}") for number in (1, 2)]
    first, second = sessions.all()
    assert (first.browser, second.browser) == ("browser 1", "browser 2")
    assert sessions.end(first.number)
    assert not sessions.end(first.number)
    assert sessions.known(tokens[0]) is None
    assert sessions.known(tokens[1]) is not None


def test_of_too_many_sessions_the_one_that_was_silent_the_longest_ends(sessions: Sessions, clock: Clock) -> None:
    tokens = []
    for number in range(module.MOST_SESSIONS):
        clock.now += 1
        tokens.append(sessions.enter(sessions.new_code(), str(number)))
    clock.now += 1
    assert sessions.known(tokens[0]) is not None
    sessions.enter(sessions.new_code(), "one more")
    assert sessions.known(tokens[0]) is not None
    assert sessions.known(tokens[1]) is None
    assert len(sessions.all()) == module.MOST_SESSIONS


def test_what_a_browser_says_of_itself_is_one_short_line(sessions: Sessions) -> None:
    sessions.enter(sessions.new_code(), "a\nb\x1b[2J" + "c" * 1000)
    assert sessions.all()[0].browser.startswith("a\\nb\\x1b[2Jc")
    assert len(sessions.all()[0].browser) < 200


def test_secrets_are_not_kept(sessions: Sessions) -> None:
    code = sessions.new_code()
    token = sessions.enter(sessions.new_code(), "a browser")
    kept = repr(vars(sessions))
    assert code not in kept
    assert token not in kept
