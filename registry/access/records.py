"""Access records: who has pulled what, when, how much, and by which rule. Pure.

A record is one line of JSON. Other programs read it, so a field keeps its name and its meaning, and
new fields may be added. docs/access.md describes all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

WRONG = "wrong"  # the proof of somebody whose password or token is wrong
FIRST_ERROR, CLIENT_LEFT = 400, 499  # statuses
LONGEST_LINE = 16 * 1024  # bytes; what is recorded has less than a tenth
_TIME = "%Y-%m-%dT%H:%M:%SZ"  # RFC 3339, in UTC
_BEGIN = b'{"time":"'  # of every line
_DAY = slice(len(_BEGIN), len(_BEGIN) + len("2026-11-30"))
_encode = json.JSONEncoder(separators=(",", ":")).encode
_TYPES: Mapping[str, type] = MappingProxyType(
    {
        "time": str,
        "user": str,
        "proof": str,
        "client": str,
        "method": str,
        "kind": str,
        "repository": str,
        "reference": str,
        "status": int,
        "refused": bool,
        "rule": str,
        "origin": str,
        "count": int,
        "bytes": int,
    }
)


class RecordGroup(Enum):
    """Which files a record is in; the values are the first words of their names.

    Anybody can make any number of `FAILURES` and `ANONYMOUS`: what somebody who has proved nothing
    did not get, and what such a client got because a rule allows it. So each of them has space of
    its own, and pushes no records of users out.
    """

    ACCESS = "access"
    FAILURES = "failures"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What all answers of one record have in common, except the client and the second.

    `user` is the name of who asked; it is empty for somebody who has proved nothing. `proof` is how
    it was proved (`principals.Proof`), or `WRONG`; it is empty if everybody may pull. `kind` is the
    endpoint, `reference` a tag or a digest, `origin` the cache status. `is_refused` says that the
    client was not let through: by `rule`, or if that is empty because no rule allows it, or because
    its proof is wrong.
    """

    user: str = ""
    proof: str = ""
    method: str = "GET"
    kind: str = ""
    repository: str = ""
    reference: str = ""
    status: int = 200
    is_refused: bool = False
    rule: str = ""
    origin: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the answer was an error; a client that has left is none."""
        return self.status >= FIRST_ERROR and self.status != CLIENT_LEFT

    @property
    def group(self) -> RecordGroup:
        """The files for these facts; if everybody may pull, what was served is as for users."""
        if self.user:
            return RecordGroup.ACCESS
        if self.is_refused or self.has_failed:
            return RecordGroup.FAILURES
        return RecordGroup.ANONYMOUS if self.proof else RecordGroup.ACCESS


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """All answers with the same facts to one client that ended in one second.

    `second` is in epoch seconds, `client` an address, a network, or empty. `count` is the number of
    answers, and `size` how many bytes their bodies have together, as far as they were sent.
    """

    second: int
    client: str
    facts: AnswerFacts
    count: int
    size: int


def format_record(record: AccessRecord) -> bytes:
    """Return the line of a record, with its end."""
    facts = record.facts
    values = {
        "time": format_time(record.second),
        "user": facts.user,
        "proof": facts.proof,
        "client": record.client,
        "method": facts.method,
        "kind": facts.kind,
        "repository": facts.repository,
        "reference": facts.reference,
        "status": facts.status,
        "refused": facts.is_refused,
        "rule": facts.rule,
        "origin": facts.origin,
        "count": record.count,
        "bytes": record.size,
    }
    return f"{_encode(values)}\n".encode()  # ASCII only: nothing in it can control a terminal


def format_time(second: float) -> str:
    """Return a time in epoch seconds as it is written in a record: `2026-11-30T19:54:12Z`."""
    return datetime.fromtimestamp(second, UTC).strftime(_TIME)


def read_day(begin: bytes) -> str:
    """Return the day in the first bytes of a line, `2026-11-30`; other text if it is damaged."""
    return begin[_DAY].decode(errors="replace") if begin.startswith(_BEGIN) else ""


def parse_record(line: bytes) -> AccessRecord:
    """Read a line; fields that are not known are ignored.

    Raises:
        ValueError: it is damaged, or is none.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError("the line is too long")
    try:
        values = json.loads(line)
    except RecursionError as error:
        raise ValueError("it has too many levels") from error
    if not isinstance(values, dict) or any(
        type(values.get(name)) is not kind for name, kind in _TYPES.items()
    ):
        raise ValueError("it is not a record")
    return _build(values)


def _build(values: Mapping[str, Any]) -> AccessRecord:
    facts = AnswerFacts(
        values["user"],
        values["proof"],
        values["method"],
        values["kind"],
        values["repository"],
        values["reference"],
        values["status"],
        values["refused"],
        values["rule"],
        values["origin"],
    )
    moment = datetime.fromisoformat(values["time"])
    if moment.tzinfo is None:
        raise ValueError("its time is not in UTC")
    second = int(moment.timestamp())
    return AccessRecord(second, values["client"], facts, values["count"], values["bytes"])
