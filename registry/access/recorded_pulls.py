"""Pulls, as they are told from access records. Pure.

A pull is what one client, as one user, asks for in one repository, without a break of some minutes:
manifests by tag and by digest, the config, layers. What was refused, and what has failed, are pulls
of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from registry.access.records import AccessRecord
from registry.oci.names import Tag
from registry.oci.referrers_tags import is_referrers_tag

BREAK = 600.0  # seconds; a layer over a slow link is recorded when all of it was sent
LONGEST = 6 * 3600.0  # seconds; a client that asks for an image each minute has many pulls
MOST_NAMES = 20  # tags, digests and rules of one pull; a client may ask for thousands of tags
SERVED, REFUSED, FAILED = "served", "refused", "failed"
_LOGIN_NEEDED = 401  # a status
_MANIFESTS, _BLOBS = "manifests", "blobs"

_Key = tuple[str, str, str, str, str]


@dataclass(slots=True)
class RecordedPull:
    """A pull; `began` and `ended` are in epoch seconds.

    `outcome` is one of `served`, `refused` and `failed`. `tags` and `digests` are those of the
    manifests that were asked for, `rules` the rules that have decided; the latest are the first,
    and there are at most `MOST_NAMES`.
    """

    user: str
    proof: str
    client: str
    repository: str
    outcome: str
    began: int
    ended: int
    tags: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    manifest_bytes: int = 0
    blob_bytes: int = 0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class RecordedPulls:
    """Pulls, the latest first; `has_more` says that there are older ones."""

    pulls: list[RecordedPull]
    has_more: bool


def gather_pulls(records: Iterable[AccessRecord], limit: int) -> RecordedPulls:
    """Return the latest `limit` pulls of records, which are the newest first.

    No more than these pulls is in memory, and no more records are read than they need.
    """
    found: list[RecordedPull] = []
    growing: dict[_Key, RecordedPull] = {}
    has_more, looked_at = False, 0
    for record in filter(_is_of_pull, records):
        key = _find_key(record)
        pull = growing.get(key)
        if pull is None or not _belongs(record, pull):
            if len(found) >= limit:
                has_more = True
                if record.second != looked_at:  # once a second, as there may be many of both
                    looked_at = record.second
                    growing = {each: old for each, old in growing.items() if _belongs(record, old)}
                if not growing:
                    break
                continue
            pull = growing[key] = RecordedPull(*key, record.second, record.second)
            found.append(pull)
        _add(record, pull)
    return RecordedPulls(found, has_more)


def find_outcome(record: AccessRecord) -> str:
    """Return whether what was asked for was served or refused, or has failed."""
    if record.facts.is_refused:
        return REFUSED
    return FAILED if record.facts.has_failed else SERVED


def _is_of_pull(record: AccessRecord) -> bool:
    """Whether a record is about content, or about something that was refused.

    Clients are asked to log in, and ask again. They also ask for signatures, which most images do
    not have.
    """
    facts = record.facts
    if facts.is_refused:
        return True
    is_content = facts.kind in (_MANIFESTS, _BLOBS) and facts.status != _LOGIN_NEEDED
    is_missing = find_outcome(record) == FAILED and is_referrers_tag(Tag(facts.reference))
    return is_content and not is_missing


def _find_key(record: AccessRecord) -> _Key:
    facts = record.facts
    return facts.user, facts.proof, record.client, facts.repository, find_outcome(record)


def _belongs(record: AccessRecord, pull: RecordedPull) -> bool:
    """Whether the time of a record is not too far before that of a pull."""
    return pull.began - record.second <= BREAK and pull.ended - record.second <= LONGEST


def _add(record: AccessRecord, pull: RecordedPull) -> None:
    facts = record.facts
    pull.began = min(pull.began, record.second)
    pull.ended = max(pull.ended, record.second)
    pull.answers += record.count
    if facts.kind == _BLOBS:
        pull.blob_bytes += record.size
    elif facts.kind == _MANIFESTS:
        pull.manifest_bytes += record.size
        _add_name(pull.digests if ":" in facts.reference else pull.tags, facts.reference)
    if facts.rule:
        _add_name(pull.rules, facts.rule)


def _add_name(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < MOST_NAMES:
        names.append(name)
