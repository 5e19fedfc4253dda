"""Laws of pulls that are told from records: what belongs together, and how much is read."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from registry.access import recorded_pulls
from registry.access.recorded_pulls import (
    BREAK,
    FAILED,
    LONGEST,
    MOST_NAMES,
    REFUSED,
    SERVED,
    RecordedPull,
    gather_pulls,
)
from registry.access.records import AccessRecord, AnswerFacts

DIGEST = "sha256:" + "a" * 64
USUAL = AnswerFacts("alice", "token", "GET", "manifests", "docker.io/team/app", "1")
LAYER = replace(USUAL, kind="blobs", reference=DIGEST)


def at(
    second: float, facts: AnswerFacts = USUAL, client: str = "10.2.0.7", **other: Any
) -> AccessRecord:
    return AccessRecord(int(second), client, replace(facts, **other), 1, 100)


def gather(*records: AccessRecord, limit: int = 100) -> list[RecordedPull]:
    """Return the pulls of records that are given in the order of their times."""
    return gather_pulls(reversed(records), limit).pulls


def test_what_a_client_asks_for_in_a_repository_is_one_pull() -> None:
    """Tag, manifest by digest, layers; amounts are those of manifests and of blobs."""
    (pull,) = gather(
        at(100, method="HEAD", rule="access.rules[2]"),
        at(101, reference=DIGEST),
        at(110, LAYER),
        at(100 + BREAK, LAYER, status=206),
    )

    assert pull == RecordedPull(
        user="alice",
        proof="token",
        client="10.2.0.7",
        repository="docker.io/team/app",
        outcome=SERVED,
        began=100,
        ended=700,
        tags=["1"],
        digests=[DIGEST],
        rules=["access.rules[2]"],
        manifest_bytes=200,
        blob_bytes=200,
        answers=4,
    )


@pytest.mark.parametrize(
    "other",
    [
        {"user": "bob"},
        {"proof": "password"},
        {"client": "10.2.0.8"},
        {"repository": "docker.io/team/other"},
        {"is_refused": True, "status": 404},
        {"status": 404},
    ],
)
def test_what_differs_is_another_pull(other: dict[str, Any]) -> None:
    """The user, the client, the repository, and whether it was served."""
    assert len(gather(at(100), at(101, **other), at(102))) == 2


def test_a_break_ends_a_pull() -> None:
    """The next one is the later one, and is first."""
    pulls = gather(at(100), at(101 + BREAK), at(102 + BREAK))

    assert [(each.began, each.ended) for each in pulls] == [(701, 702), (100, 100)]


def test_a_client_that_never_stops_has_many_pulls() -> None:
    """One that asks each minute does not have one pull of a year."""
    pulls = gather(*[at(60 * minute) for minute in range(24 * 60)])

    assert len(pulls) == 4
    assert max(each.ended - each.began for each in pulls) <= LONGEST


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"status": 200}, SERVED),
        ({"status": 206}, SERVED),
        ({"status": 304}, SERVED),
        ({"status": 499}, SERVED),  # the client has left; it may have got much
        ({"status": 404}, FAILED),
        ({"status": 502}, FAILED),
        ({"status": 404, "is_refused": True}, REFUSED),
        ({"status": 401, "is_refused": True, "proof": "wrong"}, REFUSED),
    ],
)
def test_the_outcome_is_told(facts: dict[str, Any], outcome: str) -> None:
    """What was refused is told from what does not exist, although clients see the same."""
    assert [each.outcome for each in gather(at(100, **facts))] == [outcome]


@pytest.mark.parametrize(
    "facts",
    [
        {"status": 401},  # asked to log in, as each client of a login host is
        {"kind": "tags", "reference": ""},
        {"kind": "referrers", "reference": DIGEST},
        {"status": 404, "reference": f"sha256-{'a' * 64}.sig"},
    ],
)
def test_some_records_are_no_pull(facts: dict[str, Any]) -> None:
    """Lists, signatures that most images do not have, and the first step of a login."""
    assert gather(at(100, **facts)) == []


def test_what_is_refused_is_told_of_every_kind() -> None:
    """Also a login that is wrong, which is about no repository."""
    wrong = at(100, repository="", reference="", kind="base", is_refused=True, proof="wrong")
    tags = at(101, kind="tags", is_refused=True)

    assert [each.outcome for each in gather(wrong, tags)] == [REFUSED, REFUSED]


def test_a_pull_has_few_names() -> None:
    """A client may ask for thousands of tags."""
    (pull,) = gather(*[at(100, reference=f"v{number}") for number in range(1000)])

    assert len(pull.tags) == MOST_NAMES
    assert (pull.tags[0], pull.answers) == ("v999", 1000)


def test_the_latest_pulls_are_told() -> None:
    """So many as are wanted, each of them whole, and whether there are more."""
    records = [at(1000 * number, client=f"10.2.0.{number}") for number in range(10)]
    records += [at(9990, client="10.2.0.9"), at(9995, client="10.2.0.8")]

    found = gather_pulls(reversed(records), 2)

    assert [each.client for each in found.pulls] == ["10.2.0.8", "10.2.0.9"]
    assert [each.answers for each in found.pulls] == [1, 1]
    assert found.has_more
    assert not gather_pulls(reversed(records), 100).has_more


def test_no_more_is_read_than_is_needed() -> None:
    """When the pulls that are told are whole, the rest of the files is not read."""
    read = []

    def records() -> Iterator[AccessRecord]:
        for second in range(1_000_000, 0, -1):
            read.append(second)
            yield at(second, client=f"10.2.0.{second % 200}")

    found = gather_pulls(records(), 3)

    assert [each.client for each in found.pulls] == ["10.2.0.0", "10.2.0.199", "10.2.0.198"]
    assert len(read) < LONGEST + 2 * BREAK
    assert found.has_more


def test_many_pulls_at_once_are_no_more_work_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull that is shown is looked at once a second, and not for each older record."""
    looks = 0

    def count(record: AccessRecord, pull: RecordedPull) -> bool:
        nonlocal looks
        looks += 1
        return belongs(record, pull)

    belongs = recorded_pulls._belongs
    monkeypatch.setattr(recorded_pulls, "_belongs", count)
    many = [at(100, client=str(number)) for number in range(1000)]

    assert len(gather(*many, *many, limit=100)) == 100

    assert looks < 3 * len(many)
