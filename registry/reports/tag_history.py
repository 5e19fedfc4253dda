"""The reports of what a tag has led to, and of what operators have changed about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag, format_image

if TYPE_CHECKING:
    from registry.catalog.manifests import ManifestCatalog
    from registry.content.tag_control import TagControl
    from registry.content.tag_delay import DelayPolicy, TagDelays
    from registry.content.tag_history import KnownTag


@dataclass(frozen=True, slots=True)
class SeenImage:
    """A digest that a tag has led to, and when this was first and last heard (epoch seconds).

    `last` is exact to a day. `released` is when an operator has released it (0: never). If it is
    too new to be served, `due` is when it is old enough (null in JSON: never by itself), and
    otherwise 0. `stored` says whether its manifest is stored here.
    """

    digest: str
    first: float
    last: float
    released: float
    due: float
    stored: bool


@dataclass(frozen=True, slots=True)
class TagReport:
    """What a tag serves, what its upstream said last, and all that it has led to, the newest first.

    `serves` is empty if the tag is refused. If the tag was rolled back, `rolled_back` is when
    (epoch seconds), and otherwise 0.
    """

    image: str
    serves: str
    upstream: str
    rolled_back: float
    digests: tuple[SeenImage, ...]

    @classmethod
    def of(
        cls,
        image: str,
        known: "KnownTag",
        *,
        served: str,
        confirmed: float,
        policy: "DelayPolicy",
        is_stored: Callable[[str], bool],
        now: float,
    ) -> Self:
        """Return the report of a tag from its files, and from the catalog.

        It serves `served` (empty: nothing), which its upstream confirmed at `confirmed` (epoch
        seconds; 0: that is not known more exactly than in the file).
        """
        history = known.history
        latest = history.latest
        upstream = latest.digest if latest else ""
        digests = []
        for each in reversed(history.seen):
            due, last = each.first + policy.min_age, each.last
            is_new = each.digest != served and not each.released and now < due
            if each.digest == served == upstream:
                last = max(last, confirmed)
            digests.append(
                SeenImage(
                    each.digest,
                    each.first,
                    last,
                    each.released,
                    due if is_new else 0.0,
                    is_stored(each.digest),
                )
            )
        return cls(image, served, upstream, history.rolled_back, tuple(digests))


async def read_tag_report(
    control: "TagControl",
    catalog: "ManifestCatalog",
    delays: "TagDelays",
    image: tuple[Repository, Tag],
    now: float,
) -> TagReport:
    """Read the report of a tag from its files, and from the catalog.

    Raises:
        ImageUnknown: nothing is known of it.
        StoreError: the disk or the catalog refused.
    """
    repository, tag = image
    known = await control.read(repository, tag)
    record = catalog.find_tag(repository, tag)

    def is_stored(digest: str) -> bool:
        held = catalog.find_held(repository, Digest.parse(digest))
        return held is not None and catalog.is_stored(Digest.parse(digest))

    return TagReport.of(
        format_image(repository, tag),
        known,
        served=str(record.digest) if record else "",
        confirmed=record.checked if record and record.hold.is_none else 0.0,
        policy=delays.find(repository, tag),
        is_stored=is_stored,
        now=now,
    )


@dataclass(frozen=True, slots=True)
class RolledBackTag:
    """A tag that serves `digest` until it is released; it led to `former` before (may be empty).

    `complete` says whether an image of any platform of it is stored.
    """

    image: str
    digest: str
    former: str
    complete: bool


@dataclass(frozen=True, slots=True)
class ReleasedTag:
    """A tag whose rollback has ended (`digest` is empty), or of which `digest` was released.

    The tag leads to `upstream`, as far as is known. If the tag is still rolled back,
    `rolled_back_to` is what it serves.
    """

    image: str
    digest: str
    upstream: str
    rolled_back_to: str
