"""Laws of `pulls ls`: what its table says, on 80 columns too."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from registry.cli.accounts.pulls import draw_pulls
from registry.cli.tables import Table, lay_out
from registry.reports.recorded_pulls import RecordedPullReport, RecordedPullsReport

DIGEST = "sha256:" + "a" * 64
ENDED = int(datetime.fromisoformat("2026-11-30T19:54").timestamp())
USUAL = RecordedPullReport(
    user="alice",
    proof="password",
    client="10.2.0.7",
    repository="docker.io/library/nginx",
    outcome="served",
    began=ENDED - 60,
    ended=ENDED,
    tags=["1.27"],
    digests=[DIGEST],
    rules=["access.rules[2]"],
    manifest_bytes=1024,
    blob_bytes=70_000_000,
    answers=9,
)


def draw(*pulls: RecordedPullReport, has_more: bool = False) -> list[str]:
    """Return the lines on a terminal with 80 columns."""
    lines: list[str] = []
    for block in draw_pulls(RecordedPullsReport(pulls, has_more, 0), "7d", 50):
        if isinstance(block, Table):
            head, rows = lay_out(block, 80)
            lines += [*head, *rows]
        else:
            lines.append(block)
    return lines


def test_a_pull_is_told_in_80_columns() -> None:
    """When, who, from where, how much, by which rule; and the name of the image is whole."""
    assert draw(USUAL) == [
        "when              user   client      amount  rule",
        "    image",
        "2026-11-30 19:54  alice  10.2.0.7  66.8 MiB  access.rules[2]",
        "    docker.io/library/nginx:1.27",
    ]


@pytest.mark.parametrize(
    "pull",
    [
        USUAL,
        replace(USUAL, client="2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", user="u" * 30),
        replace(USUAL, rules=[f"access.rules[{number}]" for number in range(9)]),
        replace(USUAL, rules=['no pattern of upstreams."docker.io".allow matches it']),
        replace(USUAL, tags=["latest", "1", "1.27", "1.27.3"]),
        replace(USUAL, repository="registry.example.com:5000/" + "a/" * 50 + "end"),
    ],
)
def test_no_line_is_wider(pull: RecordedPullReport) -> None:
    """But for the name of an image, which is never cut."""
    names = [f"{pull.repository}:{tag}" for tag in pull.tags]
    wide = [line for line in draw(pull) if len(line) > 80]

    assert [line for line in wide if line.strip() not in names] == []
    assert all(any(name in line for line in draw(pull)) for name in names)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"user": "", "proof": "none"}, ["anonymous", "66.8 MiB", "access.rules[2]"]),
        ({"user": "", "proof": "wrong", "outcome": "refused", "rules": []}, ["wrong login"]),
        ({"user": "", "proof": "", "rules": []}, ["-     10.2.0.7"]),
        ({"outcome": "refused", "rules": []}, ["refused", "no rule"]),
        ({"outcome": "refused"}, ["refused", "access.rules[2]"]),
        ({"outcome": "failed"}, ["failed"]),
        ({"manifest_bytes": 0, "blob_bytes": 0}, ["checked"]),
        ({"client": ""}, ["alice  -"]),
        ({"tags": []}, [f"docker.io/library/nginx@{DIGEST}"]),
        ({"tags": [], "digests": []}, ["docker.io/library/nginx"]),
    ],
)
def test_each_fact_has_its_word(changed: dict[str, Any], words: list[str]) -> None:
    """What is not known is a dash."""
    text = "\n".join(draw(replace(USUAL, **changed)))

    assert [word for word in words if word not in text] == []


def test_the_end_says_how_to_see_more() -> None:
    """If older ones were left out, or if there is nothing."""
    assert draw(USUAL, has_more=True)[-1] == "there are older ones; to show more: --limit 500"
    assert draw() == ["no such pulls are recorded; to look further back: --since forever"]
