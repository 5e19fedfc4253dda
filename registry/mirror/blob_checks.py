"""Which repository has a blob, as its manifests say, or else its upstream.

Requests for the same blob share one question, and the answer "not found" is remembered for a
short time. The answer that a repository has a blob is recorded, and counts for a day.
"""

import asyncio
from collections.abc import Callable, Mapping

from registry.catalog.blob_access import BlobAccess, BlobAccessCatalog
from registry.errors import (
    BlobUnknown,
    StoreError,
    Unknown,
    UpstreamDenied,
    UpstreamError,
    UpstreamOffline,
)
from registry.logs import get_logger
from registry.mirror.negative_cache import NegativeCache
from registry.mirror.question_limit import QuestionLimit
from registry.mirror.upstream_waits import UpstreamWaits
from registry.oci.digest import Digest
from registry.oci.names import Repository
from registry.tasks import Tasks
from registry.upstream.contract import Fallback, Source
from registry.upstream.via import names_passed

GRANT_LIFE = 86_400.0  # seconds after which the upstream is asked again


class BlobChecks:
    """Asks upstreams with HEAD requests, which do not transfer the blob."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        catalog: BlobAccessCatalog,
        missing: NegativeCache,
        tasks: Tasks,
        *,
        waits: UpstreamWaits,
        clock: Callable[[], float],
        questions: QuestionLimit,
    ) -> None:
        self._sources = sources
        self._catalog = catalog
        self.read_version = catalog.read_version
        self._missing = missing
        self._tasks = tasks
        self._waits = waits
        self._clock = clock
        self._questions = questions
        self._log = get_logger("registry.mirror")

    async def find_size(
        self, repository: Repository, digest: Digest, client: str | None = None
    ) -> int | None:
        """Return the size in bytes of a blob of this repository; None if the size is not known.

        The upstream is asked if no manifest refers to the blob, and no grant of the last day says
        that the repository has it. An older grant counts while there is no answer.

        `client` is the address of who asks; None stands for the mirror itself.

        Raises:
            BlobUnknown: the repository does not have the blob, or the mirror is offline, or the
                upstream does not let the mirror have it.
            UpstreamError: the upstream does not answer the question.
            TooManyUnknown: the client has asked for too much that does not exist.
        """
        access = await self._catalog.find(repository, digest)
        if access is not None and not is_expired(access, self._clock()):
            return access.size
        error = self._missing.find(_make_key(repository, digest), self._clock())
        if error is not None:
            raise error
        # Requests that passed through other mirrors have a question of their own.
        key = (_make_key(repository, digest), names_passed())
        try:
            async with self._questions.hold(None if self._tasks.is_running(key) else client):
                check = self._tasks.share(key, lambda: self._check(repository, digest, access))
                if access is not None:
                    return await self._wait(repository, check, access)
                return await asyncio.shield(check)
        except UpstreamOffline as error:  # nobody was asked, so this costs the client no token
            raise BlobUnknown(str(repository), str(digest)) from error

    async def find_known_size(self, repository: Repository, digest: Digest) -> int | None:
        """Return the size of a blob that the repository has by the catalog; None if it has not.

        An old grant does not count.
        """
        access = await self._catalog.find(repository, digest)
        is_known = access is not None and not is_expired(access, self._clock())
        return access.size if access is not None and is_known else None

    async def _wait(
        self, repository: Repository, check: asyncio.Task[int | None], former: BlobAccess
    ) -> int:
        """Return the size by the answer to `check`; if there is none soon, by the former grant."""
        self._waits.watch(repository, check)
        try:
            await self._waits.wait(repository, check, Fallback.KNOWN)
            size = check.result()
        except UpstreamError:
            return former.size
        return former.size if size is None else size

    async def _check(
        self, repository: Repository, digest: Digest, former: BlobAccess | None
    ) -> int | None:
        source = self._sources[repository.registry]
        try:
            size = await source.head_blob(repository.name, digest)
        except (Unknown, UpstreamDenied) as error:
            # Added in this task, and not by the waiting requests: a new request may run before
            # them.
            unknown = BlobUnknown(str(repository), str(digest))
            self._missing.add(_make_key(repository, digest), unknown, self._clock())
            if former is not None:
                await self._withdraw(repository, digest)
            raise unknown from error
        if size is None and former is not None:
            size = former.size
        if size is not None:
            await self.grant(repository, digest, size)
        return size

    async def grant(self, repository: Repository, digest: Digest, size: int) -> None:
        """Record that the repository has a blob of `size` bytes; a full disk is only logged."""
        try:
            await self._catalog.grant(repository, digest, size, self._clock())
        except StoreError as error:  # then the upstream is asked again later
            self._log.error("permission not recorded", blob=str(digest), why=str(error))

    async def _withdraw(self, repository: Repository, digest: Digest) -> None:
        try:
            await self._catalog.withdraw(repository, digest)
        except StoreError as error:  # then the upstream is asked again, and refuses again
            self._log.error("permission not deleted", blob=str(digest), why=str(error))


def is_expired(access: BlobAccess, now: float) -> bool:
    """Whether the upstream has to be asked again; what a manifest refers to does not expire.

    A grant that lies a day or more in the future has expired too: the clock was wrong then, and
    otherwise the upstream would not be asked for a very long time.
    """
    return access.granted is not None and abs(now - access.granted) >= GRANT_LIFE


def _make_key(repository: Repository, digest: Digest) -> tuple[str, Repository, Digest]:
    # The word "blob" is needed: questions about manifests use the same cache and tasks.
    return ("blob", repository, digest)
