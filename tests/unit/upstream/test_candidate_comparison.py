"""Laws of comparing candidates: who is right about a tag, and whose bytes are wrong."""

import pytest

from registry.oci.digest import Digest
from registry.settings.trusted_endpoints import is_own
from registry.upstream.candidate import Candidate, Sample, Step
from registry.upstream.candidate_comparison import (
    agree_on_digests,
    compare_samples,
    list_different,
    list_disputed,
)

OLD, NEW, ODD = (Digest.of(text) for text in (b"old", b"new", b"odd"))


def say(*digests: Digest, own: Digest | None = None) -> list[Candidate]:
    """Return candidates that say these digests of one image; the registry itself says `own`."""
    candidates = [
        Candidate(f"https://m{number}.example", digests={"app:1": digest})
        for number, digest in enumerate(digests)
    ]
    if own is not None:
        candidates.append(Candidate("https://own.example", is_own=True, digests={"app:1": own}))
    return candidates


@pytest.mark.parametrize(
    ("candidates", "agreed"),
    [
        (say(OLD, OLD, own=NEW), NEW),
        (say(own=NEW), NEW),
        (say(NEW), NEW),
        (say(OLD, NEW, NEW), NEW),
        (say(OLD, NEW), None),
        (say(OLD, OLD, NEW, NEW), None),
        (say(OLD, NEW, NEW, ODD), None),
        (say(OLD, NEW, NEW, NEW, ODD), NEW),
        ([], None),
    ],
)
def test_the_registry_is_right_and_else_the_most(
    candidates: list[Candidate], agreed: Digest | None
) -> None:
    """More than half have to agree; who says another digest is named."""
    found = agree_on_digests(candidates, ["app:1"])
    assert found.get("app:1") == agreed
    wrong = [each.digests["app:1"] for each in candidates if list_different(each, found)]
    said = [each.digests["app:1"] for each in candidates]
    assert wrong == [each for each in said if agreed is not None and each != agreed]
    assert ("app:1" in list_disputed(candidates, found)) == (bool(said) and agreed is None)


def send(url: str, *samples: tuple[bool | None, str], own: bool = False) -> Candidate:
    """Return a candidate that sent samples: whether they are right, and a letter for each block."""
    blocks = [
        Sample({number: sign.encode() for number, sign in enumerate(signs)}, is_right)
        for is_right, signs in samples
    ]
    return Candidate(url, is_own=own, samples=blocks)


@pytest.mark.parametrize(
    ("candidates", "wrong"),
    [
        # The digest of a whole layer proves what is right.
        ([send("a", (True, "xy")), send("b", (None, "x")), send("c", (None, "z"))], ["c"]),
        ([send("a", (True, "xy")), send("b", (None, "z")), send("c", (None, "z"))], ["b", "c"]),
        # Else the registry itself is right, and else the most are.
        (
            [send("a", (None, "x"), own=True), send("b", (None, "z")), send("c", (None, "z"))],
            ["b", "c"],
        ),
        ([send("a", (None, "xy")), send("b", (None, "xz")), send("c", (None, "xy"))], ["b"]),
        ([send("a", (None, "xy")), send("b", (None, "xz"))], []),
        ([send("a", (None, "xy"))], []),
        # One that sends something else each time is wrong, whatever the others say.
        ([send("a", (None, "xy"), (None, "xz"))], ["a"]),
        # Samples of different lengths are compared as far as both go.
        ([send("a", (None, "xyz")), send("b", (None, "x")), send("c", (None, "xy"))], []),
    ],
)
def test_wrong_bytes_are_traced(candidates: list[Candidate], wrong: list[str]) -> None:
    """A candidate that sends other bytes than those that are right cannot be used."""
    compare_samples(candidates)
    assert [each.url for each in candidates if each.failed is Step.DOWNLOAD] == wrong


def test_a_dispute_about_bytes_is_noted() -> None:
    """If nobody knows who is right, both say so."""
    candidates = [send("a", (None, "x")), send("b", (None, "z"))]
    compare_samples(candidates)
    assert all("nobody knows who is right" in each.notes[0] for each in candidates)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://registry-1.docker.io", True),
        ("https://docker.io:443/path", True),
        ("http://registry-1.docker.io", False),
        ("https://registry-1.docker.io:8443", False),
        ("https://docker.io.example.net", False),
        ("https://mirror.example.net", False),
    ],
)
def test_own_hosts_have_its_names(url: str, own: bool) -> None:
    """Another port may belong to somebody else."""
    assert is_own("docker.io", [], url) == own
    names, endpoints = ["docker.io", "registry-1.docker.io"], ["https://registry-1.docker.io"]
    assert is_own("hub.example", names, url, endpoints) == own
