"""The images that clients have pulled: a list of images that they may pull again."""

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

KEPT_FOR = 400 * 86_400.0  # seconds; an image that is pulled once a year stays in the list
# Tags that cosign and the referrers tag scheme make for signatures and other referrers.
_REFERRER_TAG = re.compile(r"sha256-[0-9a-f]{64}(?:\.[a-z]+)?")
_MAPPED = "::ffff:"  # prefix of an IPv4 address that connected to an IPv6 socket


@dataclass(frozen=True, slots=True)
class ClientPattern:
    """A pattern for clients: an address, a network (`10.1.0.0/16`), or a glob (`10.1.*`)."""

    text: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None

    @classmethod
    def parse(cls, text: str) -> "ClientPattern":
        """Parse an address, a network or a glob.

        Raises:
            ClientInvalid: the text is none of these.
        """
        if "*" in text or "?" in text:
            return cls(text)
        try:
            return cls(text, ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ClientInvalid(text) from None

    def matches(self, client: str) -> bool:
        """Whether the address of a client matches, or its network, if only that was kept."""
        bare = client.removeprefix(_MAPPED)
        if self.network is None:
            return bool(client) and fnmatchcase(bare, self.text)
        try:
            address, _, bits = bare.partition("/")
            is_within = ipaddress.ip_address(address) in self.network
            return is_within and (not bits or int(bits) >= self.network.prefixlen)
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image by the name that clients used; `clients` are their addresses, if known.

    `pulled` is the time of the last pull in epoch seconds.
    """

    repository: Repository
    reference: Reference
    clients: tuple[str, ...]
    pulled: float


class PullHistory:
    """Lists pulled images, and deletes old pulls."""

    def __init__(self, catalog: PullCatalog, clock: Callable[[], float]) -> None:
        self._catalog = catalog
        self._clock = clock

    async def list_pulled(
        self,
        period: float,
        clients: Sequence[ClientPattern] = (),
        images: Sequence[ImagePattern] = (),
    ) -> list[PulledImage]:
        """Return the images that were pulled in the last `period` seconds, the latest first.

        `clients` and `images` narrow the list to those that match any of their patterns.

        Raises:
            StoreError: the catalog refused.
        """
        records = await self._catalog.read_since(self._clock() - period)
        return choose(records, clients, images)

    async def forget(self) -> None:
        """Delete names and clients of pulls more than 400 days ago, and pulls of removed images.

        Raises:
            StoreError: the catalog refused.
        """
        await self._catalog.forget(self._clock() - KEPT_FOR)


def choose(
    records: PullRecords, clients: Sequence[ClientPattern], images: Sequence[ImagePattern]
) -> list[PulledImage]:
    """Return the images that match, the latest pull first. Pure.

    After a client has pulled a tag, it asks for manifests by digest. These digests belong to the
    pull of the tag, so they are not listed.
    """
    matching = [
        each
        for each in records.pulls
        if (not clients or any(who.matches(each.client) for who in clients))
        and (not images or any(_matches(what, each) for what in images))
    ]
    named = {(each.repository, each.digest) for each in matching if isinstance(each.reference, Tag)}
    got = {(each.repository, each.digest) for each in matching}

    def is_step(pull: Pull) -> bool:
        if isinstance(pull.reference, Tag):
            return _REFERRER_TAG.fullmatch(pull.reference.name) is not None
        above = records.parents.get(pull.digest, frozenset[Digest]())
        return (pull.repository, pull.digest) in named or any(
            (pull.repository, each) in got for each in above
        )

    return _gather(each for each in matching if not is_step(each))


def _matches(pattern: ImagePattern, pull: Pull) -> bool:
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
