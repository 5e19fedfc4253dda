"""The report of scheduled prefetches: when each runs next, and what its last run did."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PrefetchOutcome:
    """What a run did: of `images`, so many are `complete`, `failed`, or `skipped`.

    Those were skipped that the pull limit did not allow. `fetched` bytes were downloaded in
    `seconds`. If the whole run failed, `why` is the reason, and nothing else is known.
    """

    images: int = 0
    complete: int = 0
    failed: int = 0
    skipped: int = 0
    fetched: int = 0
    seconds: float = 0.0
    why: str = ""

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> "PrefetchOutcome":
        """Return the outcome with these facts; others are left out."""
        return cls(**{name: facts[name] for name in cls.__dataclass_fields__ if name in facts})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ScheduledPrefetch:
    """A prefetch of the settings, which runs each day `at` a time, or `every` so many seconds.

    `next` is when it is due (epoch seconds; None while the settings say offline), and `ended` when
    the last run ended. `last` is what that run did. Both are None if it has never run.
    """

    name: str
    at: str
    every: float
    next: float | None
    ended: float | None
    last: PrefetchOutcome | None
