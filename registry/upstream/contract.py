"""The contract of upstreams, for registries and for the upstream of an offline mirror."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Reference, Tag
from registry.upstream.pacing import Pace
from registry.upstream.range_sender import Sender


class Fallback(Enum):
    """What the mirror serves if the upstream does not answer a question."""

    NONE = "none"  # an error
    EMPTY = "empty"  # "nothing is known", which is wrong if the upstream has something
    KNOWN = "known"  # an earlier answer of the upstream


@dataclass(frozen=True, slots=True)
class UpstreamList:
    """A list of an upstream; `warning` says why entries may be missing (empty: none is)."""

    entries: list[Any]
    warning: str = ""


@dataclass(frozen=True, slots=True)
class TagAnswer:
    """What an upstream says that a tag leads to.

    `endpoint` is the origin that said it (the first, if several agreed), and `is_trusted` says
    whether the settings trust one of those who said it. `others` has the digest that each other
    endpoint says, by origin, if it is not `digest`. `manifest` is the manifest, if it had to be
    fetched for the answer.
    """

    digest: Digest
    endpoint: str = ""
    is_trusted: bool = False
    others: Mapping[str, Digest] = field(default_factory=dict)
    manifest: Manifest | None = None


class Incoming(Protocol):
    """Bytes of a blob that a thread has to receive; `len()` says how many it has received.

    Whoever gets it calls `receive` in a thread before he asks for the next chunk. `waited` says for
    how many seconds the thread has received bytes or waited for them.
    """

    waited: float

    def __len__(self) -> int: ...

    def receive(self, sink: Callable[[memoryview], None], seconds: float) -> None:
        """Receive bytes, and call `sink` with them, for at most about `seconds`; this blocks.

        This returns earlier if the connection is slow. The memory of a piece is used again when the
        next call of `sink` has returned. If the connection breaks, the error is raised later, to
        whoever asks for the next chunk. Errors of `sink` are raised here.
        """
        ...


Chunk = bytes | Incoming


class BlobDownload(Protocol):
    """The download of one blob of one repository from the endpoints that have it.

    `size` is in bytes; if an endpoint names it, it is known after the first byte at the latest.
    `endpoint` is the origin that sent the last bytes of `stream` or `receive` (empty: none yet).
    `has_ranges` says whether the endpoints support ranges; None until a request for a range was
    answered.
    """

    size: int | None
    endpoint: str
    has_ranges: bool | None

    def stream(
        self, start: int, stop: int | None, *, may_extend: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` to `stop` (None: the end), even if connections break.

        With `may_extend`, the bytes of an endpoint without ranges continue after `stop` to the end
        of the blob; otherwise such an endpoint would send the whole blob again for the next span.

        Raises:
            BlobUnknown: all endpoints say that they do not have the blob.
            UpstreamError: no endpoint made progress for 25 s before the first byte, or for 120 s
                after a broken connection.
        """
        ...

    def list_senders(self) -> list[Sender]:
        """Return the endpoints that may be asked for ranges now, best first."""
        ...

    def read_range(self, sender: Sender, span: Span) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a span from one endpoint; nothing is tried again.

        Raises:
            BlobUnknown, UpstreamError: the endpoint does not send all of them.
        """
        ...

    def receive(
        self,
        start: int,
        stop: int | None,
        *,
        may_extend: bool = False,
        in_thread: Callable[[], bool],
    ) -> AsyncGenerator[Chunk, None]:
        """Do as `stream`, but let the caller receive the bytes of a large body in a thread.

        `in_thread` is asked before each chunk; while it returns false, the chunks are bytes.
        """
        ...

    def mark_suspect(self, *origins: str) -> Sequence[str]:
        """Note that the endpoints at `origins` sent wrong bytes, and return these origins.

        Without arguments, this marks all endpoints that sent bytes of this blob. Suspect endpoints
        are asked last for ten minutes.
        """
        ...

    def mark_right(self) -> None:
        """Note that the digest agrees: all bytes are right, except those of `mark_wrong`."""
        ...

    def mark_wrong(self, origin: str) -> None:
        """Note that an endpoint has sent wrong bytes, as a comparison with others has shown."""
        ...

    def acquit(self, *origins: str) -> None:
        """Note that the bytes of these endpoints were right, so that they are not suspect."""
        ...

    def exclude(self, origins: Collection[str]) -> bool:
        """Ask these endpoints for nothing; return whether there are others."""
        ...

    def needs_proof(self, origins: Iterable[str]) -> bool:
        """Whether bytes of one of these endpoints may not be sent before the digest was right.

        So it is for suspects; and the settings may want it for endpoints that have not sent right
        bytes yet.
        """
        ...

    def require_proof(self, *, or_marked: bool = False) -> None:
        """Ask only endpoints whose bytes may be sent to clients at once; see `needs_proof`.

        If there is none, reading raises UpstreamUnproven. With `or_marked`, those are asked then
        which are suspect, and of whose own bytes none are known to be wrong.
        """
        ...


class Source(Protocol):
    """An upstream registry. `repository` is its name there, such as `library/nginx`.

    Every method raises UpstreamError when no endpoint gave a clear answer. With a fallback, a
    question is given up earlier. If an earlier answer is known, an upstream that failed recently is
    not asked. Otherwise one request asks it again, and the others wait for the result. Most images
    have no referrers: if an endpoint says that it has none, the others need not answer.
    """

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        """Return the digest of a manifest by HEAD, which does not count against the pull limit.

        For a tag, only the endpoints are asked that `resolve_tag` asks, and the first that answers
        decides. None if only a GET can answer, because HEAD is of no use there, or the answer to it
        has no digest. Raises ManifestUnknown.
        """
        ...

    async def resolve_tag(
        self, repository: str, tag: Tag, *, fallback: Fallback = Fallback.NONE
    ) -> TagAnswer:
        """Return what a tag leads to, from the endpoints that may say so by the settings.

        They are asked by HEAD, and by GET only where a HEAD is of no use.

        Raises:
            ManifestUnknown: the tag does not exist.
            TagDisputed: the endpoints disagree, and none decides.
            TagUnconfirmed: two have to agree, and only one says what the tag leads to.
            UpstreamError: nobody who may say so has answered.
        """
        ...

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Manifest:
        """Fetch and verify a manifest. Raises ManifestUnknown."""
        ...

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size of a blob in bytes; None if the answer has none. Raises BlobUnknown."""
        ...

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> BlobDownload:
        """Prepare to read a blob of `size` bytes (None: not known); this sends no request.

        It is read at most as fast as `pace` allows (None: at any speed).
        """
        ...

    def is_trial_due(self, repository: str) -> bool:
        """Whether an endpoint that has sent wrong bytes may show now that it sends right ones."""
        ...

    def open_trial(
        self, repository: str, digest: Digest, size: int, *, pace: Pace
    ) -> BlobDownload | None:
        """Prepare to read a blob of `size` bytes from such an endpoint alone.

        It counts as tried now, so that the next trial is later. None if none is due.
        """
        ...

    async def list_tags(
        self, repository: str, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Return all tags in ASCII order. Raises NameUnknown."""
        ...

    async def list_referrers(
        self, repository: str, digest: Digest, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Return all referrers' descriptors. Raises ReferrersUnsupported."""
        ...

    async def leads_back(self) -> bool:
        """Whether an endpoint that is asked first has sent the request that this task answers.

        The endpoint is then a mirror, which waits for this one. This raises nothing.
        """
        ...
