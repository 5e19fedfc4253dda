"""The reports of `entrepot cache`: usage, evictions, audits, and backups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from registry.content.audit import Findings
    from registry.content.backup import BackedUp
    from registry.content.usage import UsageReport
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

    The file system has `free` bytes, of which `reserve` stay free. `images` is the number of names.
    `audits` has the state of the last audit of the auditors `command` and `background`.
    """

    used: int
    limit: int
    reserve: int
    free: int
    images: int
    use: Usage
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
            use=Usage(use.blobs, use.count, use.pinned, use.reserved, use.quarantined),
            audits={
                name if name == _BY_COMMAND else "background": AuditState(
                    each.position, each.began, each.ended
                )
                for name, each in found.audits.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Eviction:
    """An eviction: bytes `used` before, the `target`, and bytes `freed` (or that would be)."""

    used: int
    target: int
    freed: int
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

    `names` is the number of tags and digests in it. `damaged` blobs were left out.
    """

    blobs: int
    size: int
    copied: int
    names: int
    damaged: "list[Digest]"

    @classmethod
    def of(cls, found: "BackedUp") -> Self:
        """Return the report of a backup from its result."""
        return cls(found.blobs, found.size, found.copied, found.names, found.damaged)
