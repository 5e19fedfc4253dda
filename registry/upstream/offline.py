"""The upstream of an offline mirror: it opens no connection and refuses every question."""

from typing import NoReturn

from registry.errors import UpstreamOffline
from registry.oci.digest import Digest
from registry.oci.names import Reference, Tag
from registry.upstream.contract import BlobDownload, Fallback, UpstreamList
from registry.upstream.pacing import Pace


class OfflineSource:
    """A `Source` of which every method raises UpstreamOffline."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def head_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> Digest | None:
        """Raise UpstreamOffline."""
        self._refuse()

    async def resolve_tag(
        self, repository: str, tag: Tag, *, fallback: Fallback = Fallback.NONE
    ) -> NoReturn:
        """Raise UpstreamOffline."""
        self._refuse()

    async def get_manifest(
        self, repository: str, reference: Reference, *, fallback: Fallback = Fallback.NONE
    ) -> NoReturn:
        """Raise UpstreamOffline."""
        self._refuse()

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Raise UpstreamOffline."""
        self._refuse()

    def open_blob(
        self, repository: str, digest: Digest, size: int | None, *, pace: Pace | None = None
    ) -> BlobDownload:
        """Raise UpstreamOffline."""
        self._refuse()

    def is_trial_due(self, repository: str) -> bool:
        """Nobody is asked."""
        return False

    def open_trial(self, repository: str, digest: Digest, size: int, *, pace: Pace) -> None:
        """Nobody is asked."""

    async def list_tags(
        self, repository: str, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Raise UpstreamOffline."""
        self._refuse()

    async def list_referrers(
        self, repository: str, digest: Digest, *, fallback: Fallback = Fallback.NONE
    ) -> UpstreamList:
        """Raise UpstreamOffline."""
        self._refuse()

    async def leads_back(self) -> bool:
        """Nobody is asked."""
        return False

    def _refuse(self) -> NoReturn:
        raise UpstreamOffline(self._name)
