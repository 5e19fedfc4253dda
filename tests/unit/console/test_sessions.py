"""Laws of sessions and of the values in forms."""

from registry.console import sessions
from registry.console.sessions import LIFE, FormTokens, Sessions


def test_a_session_ends() -> None:
    """After twelve hours a person logs in again, and after a log-out at once."""
    now = 0.0
    kept = Sessions(lambda: now)
    first, second = kept.begin("alice", "a"), kept.begin("bob", "b")
    kept.end(second)
    assert kept.find(second) is None

    now = LIFE - 1
    found = kept.find(first)
    assert found is not None
    assert found.name == "alice"
    now = LIFE
    assert kept.find(first) is None


def test_sessions_are_bounded() -> None:
    """Who logs in ever again does not fill the memory."""
    kept = Sessions()
    values = [kept.begin("alice", "a") for _ in range(sessions.MOST + 1)]

    assert kept.find(values[0]) is None
    assert kept.find(values[-1]) is not None


def test_a_form_is_of_one_session() -> None:
    """The value of one session is wrong in another one, and in another process."""
    tokens = FormTokens()

    assert tokens.is_right("a", tokens.make("a"))
    assert not tokens.is_right("b", tokens.make("a"))
    assert not FormTokens().is_right("a", tokens.make("a"))
    assert not tokens.is_right("a", "é")
