"""What clients have pulled, by which names, as a source of what somebody will want again."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.catalog.pulls import Pull, PullCatalog, PullRecords
from registry.errors import ClientInvalid
from registry.oci.digest import Digest
from registry.oci.image_patterns import ImagePattern
from registry.oci.names import Reference, Repository, Tag

KEPT_FOR = 400 * 86_400.0  # seconds: what is pulled once a year is still found
# Where cosign and the tag scheme of referrers keep what belongs to an image.
_ATTACHED = re.compile(r"sha256-[0-9a-f]{64}(?:\.[a-z]+)?")
_MAPPED = "::ffff:"  # before an IPv4 address that came to an IPv6 socket


@dataclass(frozen=True, slots=True)
class ClientPattern:
    """Clients by address: one of them, a network (`10.1.0.0/16`), or a glob (`10.1.*`)."""

    text: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None

    @classmethod
    def parse(cls, text: str) -> "ClientPattern":
        """Read what was typed.

        Raises:
            ClientInvalid: neither an address, nor a network, nor a glob.
        """
        if "*" in text or "?" in text:
            return cls(text)
        try:
            return cls(text, ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ClientInvalid(text) from None

    def matches(self, client: str) -> bool:
        """Whether a client's address is meant."""
        bare = client.removeprefix(_MAPPED)
        if self.network is None:
            return bool(client) and fnmatchcase(bare, self.text)
        try:
            return ipaddress.ip_address(bare) in self.network
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image as clients named it, who they were (those that are known), and when the last was."""

    repository: Repository
    reference: Reference
    clients: tuple[str, ...]
    pulled: float


class PullHistory:
    """Answers what was pulled, and forgets it in time."""

    def __init__(self, catalog: PullCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock

    async def list_pulled(
        self,
        period: float,
        clients: Sequence[ClientPattern] = (),
        images: Sequence[ImagePattern] = (),
    ) -> list[PulledImage]:
        """Return what was pulled in the last `period` seconds, the latest first.

        Without `clients` and `images`, by anybody and of everything.

        Raises:
            StoreError: the catalog refused.
        """
        chronicle = await self._catalog.read_since(self._clock() - period)
        return choose(chronicle, clients, images)

    async def forget(self) -> None:
        """Forget pulls of more than 400 days ago, and of images that were removed.

        Raises:
            StoreError: the catalog refused.
        """
        await self._catalog.forget(self._clock() - KEPT_FOR)


def choose(
    chronicle: PullRecords, clients: Sequence[ClientPattern], images: Sequence[ImagePattern]
) -> list[PulledImage]:
    """Return the images that were meant, the latest first. Pure.

    Who pulls a tag asks next for what it led to: digests by which others came are no images.
    """
    meant = [
        each
        for each in chronicle.pulls
        if (not clients or any(who.matches(each.client) for who in clients))
        and (not images or any(_means(what, each) for what in images))
    ]
    named = {(each.repository, each.digest) for each in meant if isinstance(each.reference, Tag)}
    got = {(each.repository, each.digest) for each in meant}

    def is_step(pull: Pull) -> bool:
        if isinstance(pull.reference, Tag):
            return _ATTACHED.fullmatch(pull.reference.name) is not None
        above = chronicle.parents.get(pull.digest, frozenset[Digest]())
        return (pull.repository, pull.digest) in named or any(
            (pull.repository, each) in got for each in above
        )

    return _gather(each for each in meant if not is_step(each))


def _means(pattern: ImagePattern, pull: Pull) -> bool:
    names = (str(pull.reference), str(pull.digest))
    return any(pattern.matches(str(pull.repository), name) for name in names)


def _gather(pulls: Iterable[Pull]) -> list[PulledImage]:
    found: dict[tuple[Repository, Reference], list[Pull]] = {}
    for each in pulls:
        found.setdefault((each.repository, each.reference), []).append(each)
    gathered = [
        PulledImage(
            *image,
            clients=tuple(dict.fromkeys(each.client for each in same if each.client)),
            pulled=max(each.pulled for each in same),
        )
        for image, same in found.items()
    ]
    return sorted(gathered, key=lambda each: -each.pulled)
