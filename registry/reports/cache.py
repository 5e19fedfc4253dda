"""The reports of `entrepot cache`: usage, evictions, audits, and backups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.content.audit import Findings
    from registry.content.backup import BackedUp
    from registry.content.usage import SpaceUse, UsageReport
    from registry.oci.digest import Digest

_BY_COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the used bytes are used for.

    `blobs` are the bytes of complete blobs, `count` is the number of complete blobs, and `pinned`
    are the bytes of blobs that pins keep. `downloading` are bytes that are reserved for downloads,
    `damaged` the bytes of blobs that were moved to `quarantine/`.
    """

    blobs: int
    count: int
    pinned: int
    downloading: int
    damaged: int


@dataclass(frozen=True, slots=True)
class RunningDownloads:
    """How many blobs are being downloaded or imported now, and how many of their bytes are here.

    `expected` are the bytes of the whole blobs; of a blob whose size is not known, those that are
    here. `interrupted` are the bytes of downloads that are not running: the next pull continues.
    """

    count: int
    arrived: int
    expected: int
    interrupted: int

    @classmethod
    def of(cls, found: "SpaceUse") -> Self:
        """Return the report of the downloads of a data folder."""
        running = found.running
        return cls(
            count=len(running),
            arrived=sum(each.arrived for each in running),
            expected=sum(
                each.arrived if each.expected is None else each.expected for each in running
            ),
            interrupted=found.interrupted,
        )


@dataclass(frozen=True, slots=True)
class Savings:
    """What the servers that are running have answered since the first of them started.

    `since` is in epoch seconds. `requests` are the answers with a manifest or a blob, and `hits`
    those of them whose content was stored here. `sent` are bytes, and `saved` is by how many of
    them more was sent than downloaded.
    """

    since: float
    requests: int
    hits: int
    hit_ratio: float
    sent: int
    saved: int


@dataclass(frozen=True, slots=True)
class AuditState:
    """The state of the last audit: the last checked digest, and when the audit began and ended.

    Times are epoch seconds; `began` is 0 if there was no audit, `ended` is 0 if it has not ended.
    """

    position: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """How many bytes are used and for what, and how many bytes `limit` allows.

    The file system has `free` bytes, of which `reserve` stay free. `images` is the number of names;
    of `empty_images` of them nothing is stored any more. `savings` is None if no server is running.
    `audits` has the state of the last audit of the auditors `command` and `background`.
    """

    used: int
    limit: int
    reserve: int
    free: int
    images: int
    empty_images: int
    use: Usage
    downloads: RunningDownloads
    savings: Savings | None
    audits: Mapping[str, AuditState]

    @classmethod
    def of(cls, found: "UsageReport") -> Self:
        """Return the report of the store's usage."""
        use = found.use
        return cls(
            used=found.used,
            limit=found.limit,
            reserve=found.reserve,
            free=found.free,
            images=found.images,
            empty_images=found.empty_images,
            use=Usage(use.blobs, use.count, use.pinned, use.reserved, use.quarantined),
            downloads=RunningDownloads.of(found),
            savings=_describe_savings(found),
            audits={
                name if name == _BY_COMMAND else "background": AuditState(
                    each.position, each.began, each.ended
                )
                for name, each in found.audits.items()
            },
        )


def _describe_savings(found: "UsageReport") -> Savings | None:
    served = found.served
    if served is None:
        return None
    return Savings(
        since=found.since,
        requests=served.requests,
        hits=served.hits,
        hit_ratio=round(served.hit_ratio, 4),
        sent=served.sent,
        saved=served.saved,
    )


@dataclass(frozen=True, slots=True)
class Eviction:
    """An eviction: bytes `used` before, the `target`, and bytes `freed` (or that would be).

    `blobs` is the number of blobs that were deleted. Of `empty_images` of all `images` nothing is
    stored after it.
    """

    used: int
    target: int
    freed: int
    blobs: int
    images: int
    empty_images: int
    dry_run: bool

    @property
    def is_enough(self) -> bool:
        """Whether the target is reached."""
        return self.used - self.freed <= self.target


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The result of an audit: `checked` blobs of `bytes` bytes, and what was wrong.

    `damaged` blobs do not agree with their digests, and were moved to `quarantine/`. `unknown`
    blobs were on disk without a record, and are recorded now. `missing` blobs were recorded and not
    on disk; their records were removed. `unreadable` blobs could not be read. `recovered_names` is
    the number of tags and digests that were on disk without a record, and are recorded now.
    """

    checked: int
    bytes: int
    recovered_names: int
    damaged: "list[Digest]"
    unknown: "list[Digest]"
    missing: "list[Digest]"
    unreadable: "list[Digest]"

    @classmethod
    def of(cls, found: "Findings") -> Self:
        """Return the report of an audit from its findings."""
        return cls(
            checked=found.checked,
            bytes=found.size,
            recovered_names=found.names,
            damaged=found.damaged,
            unknown=found.unknown,
            missing=found.missing,
            unreadable=found.unread,
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong."""
        wrong = (self.damaged, self.unknown, self.missing, self.unreadable)
        return not (self.recovered_names or any(wrong))


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The number of blobs in the backup, their `size` in bytes, and how many were `copied` now.

    `names` is the number of tags and digests in it, of which `tags` are tags. `damaged` blobs were
    left out.
    """

    blobs: int
    size: int
    copied: int
    names: int
    tags: int
    damaged: "list[Digest]"

    @classmethod
    def of(cls, found: "BackedUp") -> Self:
        """Return the report of a backup from its result."""
        return cls(found.blobs, found.size, found.copied, found.names, found.tags, found.damaged)
