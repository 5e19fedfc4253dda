"""The history of a tag: which digests it has led to, since when, and what operators decided. Pure.

`store/tags.py` keeps it beside the tag file. It has at most `MOST` digests, so that a tag that
moves often does not fill the disk. All times are epoch seconds.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from registry.errors import DigestInvalid
from registry.oci.digest import Digest
from registry.store.small_files import parse_time

MOST = 50  # digests; those that were seen last are kept
_TIMES = ("first", "last", "released")  # in the entry of a digest
PRECISION = 86_400.0  # seconds; the file is not written for a smaller change of `last`


@dataclass(frozen=True, slots=True)
class SeenDigest:
    """A digest that a tag has led to, and when this was first and last heard.

    `released` is when an operator said that it need not become older (0: never). `was_served` says
    that the tag has served it here.
    """

    digest: str
    first: float
    last: float
    released: float = 0.0
    was_served: bool = False


@dataclass(frozen=True, slots=True)
class TagHistory:
    """The digests that a tag has led to; the last one is what was heard last.

    If an operator has rolled the tag back, it serves `rolled_back_to`, since `rolled_back`, and
    `has_pin` says whether this has made a pin.
    """

    seen: tuple[SeenDigest, ...] = ()
    rolled_back_to: str = ""
    rolled_back: float = 0.0
    has_pin: bool = False

    @property
    def latest(self) -> SeenDigest | None:
        """What was heard last about the tag; None if nothing was."""
        return self.seen[-1] if self.seen else None

    @property
    def last_served(self) -> str:
        """What the tag has served here, of what was heard last; empty: nothing of what is known."""
        return next((each.digest for each in reversed(self.seen) if each.was_served), "")

    def find(self, digest: str) -> SeenDigest | None:
        """Return what is known of a digest; None if the tag has never led to it."""
        return next((each for each in self.seen if each.digest == digest), None)

    def see(self, digest: str, now: float, served: str = "") -> "TagHistory":
        """Return the history after it was heard at `now` that the tag leads to `digest`.

        `served` is what the tag serves here at that moment (empty: nothing). If a digest comes back
        that was replaced before it was served, its time begins anew: whoever moves a tag for a
        minute could otherwise have the same image served at once, a week later.

        If the clock was set back, what is known would not become old enough for a long time: a
        time in the future becomes `now`.
        """
        seen = [
            replace(each, was_served=True) if each.digest == served else each for each in self.seen
        ]
        known = next((each for each in seen if each.digest == digest), SeenDigest(digest, now, now))
        is_same = bool(seen) and seen[-1].digest == digest
        is_trusted = is_same or known.was_served or known.released
        first = min(known.first, now) if is_trusted else now
        others = [each for each in seen if each.digest != digest]
        return replace(self, seen=(*others, replace(known, first=first, last=now))[-MOST:])

    def add(self, entry: SeenDigest) -> "TagHistory":
        """Return the history with what another file says, unless the digest is known."""
        if self.find(entry.digest) is not None:
            return self
        seen = sorted((*self.seen, entry), key=lambda each: each.last)
        return replace(self, seen=tuple(seen)[-MOST:])

    def mark_served(self, digest: str, moment: float) -> "TagHistory":
        """Return the history of a tag that has served `digest`, which was heard at `moment`."""
        known = self.add(SeenDigest(digest, moment, moment))
        seen = tuple(
            replace(each, was_served=True) if each.digest == digest else each for each in known.seen
        )
        return replace(known, seen=seen)

    def confirm(self, digest: str, moment: float) -> "TagHistory":
        """Return the history after it was heard at an earlier `moment` too that a tag led there."""
        seen = tuple(
            replace(each, last=max(each.last, moment)) if each.digest == digest else each
            for each in self.seen
        )
        return replace(self, seen=seen)

    def release(self, digest: str, now: float) -> "TagHistory":
        """Return the history in which `digest`, which is known, need not become older."""
        seen = tuple(
            replace(each, released=now) if each.digest == digest else each for each in self.seen
        )
        return replace(self, seen=seen)

    def roll_back(self, digest: str, now: float, *, has_pin: bool) -> "TagHistory":
        """Return the history of a tag that serves `digest` from now on."""
        return replace(self, rolled_back_to=digest, rolled_back=now, has_pin=has_pin)

    def end_rollback(self) -> "TagHistory":
        """Return the history of a tag that follows its upstream again."""
        return replace(self, rolled_back_to="", rolled_back=0.0, has_pin=False)

    def differs(self, other: "TagHistory") -> bool:
        """Whether the file has to be written again after `other` was written."""
        if (self.rolled_back_to, self.has_pin) != (other.rolled_back_to, other.has_pin):
            return True
        mine, others = (
            [(each.digest, each.first, each.released, each.was_served) for each in history.seen]
            for history in (self, other)
        )
        if mine != others:
            return True
        pairs = zip(self.seen, other.seen, strict=True)
        return any(mine.last - theirs.last >= PRECISION for mine, theirs in pairs)


def format_history(history: TagHistory) -> dict[str, Any]:
    """Return the JSON object of a file."""
    return asdict(history)


def parse_history(value: object) -> TagHistory:
    """Return the history in the JSON object of a file; fields of later versions are left out.

    Raises:
        ValueError: it is no history.
    """
    try:
        return _parse(value)
    except (TypeError, AttributeError, KeyError, DigestInvalid) as error:
        raise ValueError("it is not the history of a tag") from error


def _parse(value: Any) -> TagHistory:
    chosen = value.get("rolled_back_to", "")
    return TagHistory(
        tuple(map(_parse_entry, value["seen"]))[-MOST:],
        str(Digest.parse(chosen)) if chosen else "",
        parse_time(value.get("rolled_back", 0.0)),
        bool(value.get("has_pin")),
    )


def _parse_entry(entry: Any) -> SeenDigest:
    first, last, released = (parse_time(entry.get(name, 0.0)) for name in _TIMES)
    digest, was_served = str(Digest.parse(entry["digest"])), bool(entry.get("was_served"))
    return SeenDigest(digest, first, last, released, was_served)
