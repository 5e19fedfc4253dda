"""Laws of challenges: only who uses the mirror as a registry is asked to log in."""

import pytest

from registry.access.challenges import Asked, Challenges

CHALLENGES = Challenges(["mirror.lan", "other.lan:5443"])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("mirror.lan"), True),
        (Asked("Mirror.LAN:5000"), True),
        (Asked("other.lan:5443"), True),
        (Asked("other.lan"), False),
        (Asked("10.0.0.1:5000"), False),
        (Asked(""), False),
        (Asked("mirror.lan", has_path=True), False),
        (Asked("mirror.lan", namespace="docker.io"), False),
        (Asked("docker.io.mirror.lan"), False),
    ],
)
def test_who_is_asked(asked: Asked, expected: bool) -> None:
    """What was sent to a mirror never gets a challenge: dockerd would answer with a password."""
    assert CHALLENGES.may_ask(asked) is expected


def test_the_text_of_a_challenge() -> None:
    """It names where to get a token, for what, and what was wrong with the last one."""
    asked = Asked("mirror.lan:5000", has_tls=True)

    assert CHALLENGES.write(asked) == (
        'Bearer realm="https://mirror.lan:5000/token",service="entrepot"'
    )
    assert CHALLENGES.write(asked, "a/b", "insufficient_scope").endswith(
        ',scope="repository:a/b:pull",error="insufficient_scope"'
    )


def test_a_host_cannot_add_a_parameter() -> None:
    """The value of Host is of the client, so it is quoted."""
    text = Challenges().write(Asked('a",service="evil'))

    assert text == 'Bearer realm="http://a%22%2Cservice%3D%22evil/token",service="entrepot"'
