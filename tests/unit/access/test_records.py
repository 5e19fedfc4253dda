"""Laws of access records: one line of JSON, with names that stay; what is damaged is refused."""

import json

import pytest

from registry.access.records import (
    LONGEST_LINE,
    AccessRecord,
    AnswerFacts,
    format_record,
    parse_record,
    read_day,
)

SECOND = 1_796_068_452  # 2026-11-30T19:54:12Z
FACTS = AnswerFacts(
    user="alice",
    proof="password",
    method="GET",
    kind="manifests",
    repository="docker.io/team/app",
    reference="1",
    status=200,
    is_refused=False,
    rule="access.rules[2]",
    origin="hit",
)
RECORD = AccessRecord(SECOND, "10.2.0.7", FACTS, 3, 1245)


def test_the_fields_are_documented_ones() -> None:
    """Other programs read them: who renames one breaks these programs."""
    line = format_record(RECORD)

    assert json.loads(line) == {
        "time": "2026-11-30T19:54:12Z",
        "user": "alice",
        "proof": "password",
        "client": "10.2.0.7",
        "method": "GET",
        "kind": "manifests",
        "repository": "docker.io/team/app",
        "reference": "1",
        "status": 200,
        "refused": False,
        "rule": "access.rules[2]",
        "origin": "hit",
        "count": 3,
        "bytes": 1245,
    }
    assert (line[-1:], line.count(b"\n")) == (b"\n", 1)


def test_what_was_written_is_read() -> None:
    """Also without the end of the line, and with fields of a later version."""
    line = format_record(RECORD)
    later = json.dumps(json.loads(line) | {"region": "eu"}).encode()

    for each in (line, line.rstrip(), later):
        assert parse_record(each) == RECORD


def test_the_day_of_a_line_is_read_from_its_begin() -> None:
    """Without parsing it; what is damaged has no day."""
    line = format_record(RECORD)

    assert read_day(line[:64]) == "2026-11-30"
    assert read_day(b"\0" * 64) == ""


def test_nothing_in_a_line_controls_a_terminal() -> None:
    """Whatever a client has invented as a method, the line is plain ASCII."""
    line = format_record(AccessRecord(SECOND, "", AnswerFacts(method="\x1b[2J\x7f\u202e\n"), 1, 0))

    assert line[:-1].decode().isprintable()
    assert parse_record(line).facts.method == "\x1b[2J\x7f\u202e\n"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\0" * 100,
        b"[" * 10_000,
        format_record(RECORD)[:-20],
        format_record(RECORD)[20:],
        format_record(RECORD).replace(b'"bytes":1245', b'"bytes":"1245"'),
        format_record(RECORD).replace(b'"status":200', b'"status":true'),
        format_record(RECORD).replace(b"2026-11-30T19:54:12Z", b"yesterday"),
        format_record(RECORD).replace(b"2026-11-30T19:54:12Z", b"2026-11-30T19:54:12"),
        format_record(RECORD).rstrip() + b" " * LONGEST_LINE,
        format_record(RECORD) * 2,
        b'\xff{"time":1}',
    ],
)
def test_damaged_lines_are_refused(line: bytes) -> None:
    """What is not exactly a record is none."""
    with pytest.raises(ValueError):  # noqa: PT011 - json raises its own kinds
        parse_record(line)
