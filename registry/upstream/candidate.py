"""An endpoint that may be used for an upstream, and what measuring has found out about it so far.

Measuring fills in the facts one after the other, so that they can be read at any moment.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from registry.oci.digest import Digest
from registry.oci.rate_limits import RateLimit
from registry.upstream.performance import Performance
from registry.upstream.redirects import origin_of

CONNECTIONS = 8  # of the second download


class Step(StrEnum):
    """The steps of measuring a candidate, in their order."""

    NAME = "name"
    CONNECTION = "connection"
    TLS = "TLS"
    API = "/v2/"
    TOKEN = "token"  # noqa: S105 - a step, and no password # nosec B105
    TAGS = "tags"
    RANGE = "range"
    DOWNLOAD = "download"
    TOGETHER = "download with 8 connections"


@dataclass(frozen=True, slots=True)
class Layer:
    """The blob that all candidates are asked for, `size` bytes long; `image` has it."""

    image: str
    repository: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The first bytes of the layer, as one candidate has sent them.

    `blocks` has the SHA-256 of each block of 256 KiB that came, by its number. `is_right` says
    whether the whole layer has its digest; None if the sample is only a part of it.
    """

    blocks: dict[int, bytes]
    is_right: bool | None


@dataclass(slots=True)
class Candidate:
    """One endpoint, and what is known of it; `is_own`: it is a host of the registry itself.

    `seconds` has the time of each step that ended well. If a step failed, the candidate cannot be
    used: `failed` is the step, and `why` is the reason. `digests` are by image, and `refused` says
    why there is none. `performance` has what was measured of the downloads, `limit` the pull limit
    that it reported. `breaks` counts the connections that broke within a download.

    `date` is the header of the answer to `/v2/`, which came at `answered` (epoch seconds).

    While it is measured, `running` is the step, and `received` of `expected` bytes have come.
    """

    url: str
    is_own: bool = False
    seconds: dict[Step, float] = field(default_factory=dict)
    failed: Step | None = None
    why: str = ""
    digests: dict[str, Digest] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    has_ranges: bool | None = None
    performance: Performance = field(default_factory=Performance)
    limit: RateLimit | None = None
    breaks: int = 0
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    date: str = ""
    answered: float = 0.0
    running: Step | None = None
    received: int = 0
    expected: int = 0
    is_done: bool = False

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return origin_of(self.url)

    def fail(self, step: Step, why: str) -> None:
        """Note why it cannot be used; the first reason counts."""
        if self.failed is None:
            self.failed, self.why = step, why

    def note(self, text: str) -> None:
        """Add something that people should know, once."""
        if text not in self.notes:
            self.notes.append(text)
