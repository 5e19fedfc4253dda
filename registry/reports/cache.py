"""The store as a whole: how full it is, what was evicted, whether it is right, its backups."""

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
    """What takes the bytes that are used.

    `blobs` are the bytes of complete blobs, `count` is the number of these, and `pinned` the bytes
    of those that pins keep. `downloading` are bytes reserved for downloads, `damaged` the bytes of
    blobs that were moved to `quarantine/`.
    """

    blobs: int
    count: int
    pinned: int
    downloading: int
    damaged: int


@dataclass(frozen=True, slots=True)
class AuditState:
    """How far the last audit is: the digest that it checked last, and when it began and ended.

    Both moments are epoch seconds; `began` is 0 if there was none, `ended` is 0 while it goes on.
    """

    position: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class CacheUsage:
    """How many bytes are used, how many `limit` allows, and what takes them.

    `free` are the bytes that the file system has free, of which `reserve` stay free. `images` is
    the number of names. `audits` has the last audit by `command` and the last in the `background`.
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
        """Return the report of what the store measured."""
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
    """`used` bytes before, `target` bytes wanted, and the bytes that were or would be freed."""

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
    """What an audit found: `checked` blobs of `bytes` bytes, and what was not right.

    `damaged` have other bytes than their digests say and were moved to `quarantine/`. `unknown`
    were on disk without a record, and are recorded now. `missing` were recorded and are not on
    disk; their records were removed. `unreadable` could not be read. `recovered_names` is the
    number of tags and digests that were on disk without a record, and are recorded now.
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
        """Return the report of an audit's findings."""
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
        """Whether everything was right."""
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
        """Return the report of a backup that was made."""
        return cls(found.blobs, found.size, found.copied, found.names, found.damaged)
