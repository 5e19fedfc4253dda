"""The facts of the list of images, which is shown in pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.catalog.image_pages import NamedRow, StoredPart

PAGE = 50  # images of one page
SORTS = ("name", "pulled", "size")


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What the list shall show: a part of the name, a registry or repository, and in which order.

    `after` is where a former page ended: a sort key (empty for names), `~`, and the name.
    """

    text: str = ""
    registry: str = ""
    sort: str = "name"
    after: str = ""
    is_pinned: bool = False
    repository: str = ""
    is_gone: bool = False

    def read_after(self) -> tuple[float, str, str]:
        """Return the sort key, the repository and the reference where the former page ended.

        Raises:
            InvalidInput: `after` has another form.
        """
        if not self.after:
            return float("-inf"), "", ""
        key, sign, name = self.after.partition("~")
        try:
            number = float(key) if key else 0.0
        except ValueError:
            sign = ""
        if not sign:
            raise InvalidInput(f"{self.after[:80]!r} is not the end of a page")
        return (number, *split_name(name))


def split_name(name: str) -> tuple[str, str]:
    """Split the name of an image into repository and reference; the latter may be empty."""
    repository, sign, digest = name.partition("@")
    if sign:
        return repository, digest
    head, _, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    return (f"{head}/{base}" if head else base), tag


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A line of the list: an image under one of its names.

    `size` is the number of its stored bytes. `state` is `complete` if an image of one platform at
    least is stored as a whole, `part` if something is stored, and otherwise `nothing`. It has
    `manifests` for platforms and attestations, of which `whole` are stored completely. `former` is
    the tag that has led to an image which has no tag now; "" if that is not known. `gone` is when
    the upstream first said that it does not have the tag any more. Times are epoch seconds (0:
    never).
    """

    name: str
    repository: str
    reference: str
    digest: str
    size: int
    state: str
    manifests: int
    whole: int
    pulled: float
    pinned: bool
    rolled_back: bool
    former: str = ""
    gone: float = 0.0

    @classmethod
    def of(cls, row: "NamedRow", part: "StoredPart") -> Self:
        """Return the line of an image."""
        state = "complete" if part.whole else "part" if part.size else "nothing"
        return cls(
            name=row.name,
            repository=row.repository,
            reference=row.reference,
            digest=row.digest,
            size=part.size,
            state=state,
            manifests=part.manifests,
            whole=part.whole,
            pulled=row.pulled,
            pinned=row.is_pinned,
            rolled_back=row.is_rolled_back,
            former=row.former,
            gone=row.gone,
        )


@dataclass(frozen=True, slots=True)
class ImageList:
    """A page of images; `after` begins the next page (empty: there is none).

    `registries` are the names of all upstreams, for the filter.
    """

    images: Sequence[ImageRow]
    after: str
    text: str
    registry: str
    sort: str
    pinned: bool
    registries: Sequence[str]
    repository: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A repository: its number of tags and of pinned names, and when it was pulled last.

    `pulled` is in epoch seconds (0: never).
    """

    repository: str
    tags: int
    pinned: int
    pulled: float


@dataclass(frozen=True, slots=True)
class GroupList:
    """A page of repositories; the other fields are those of `ImageList`."""

    # For what shows both: repositories are not listed by this, so it is no fact about them.
    gone: ClassVar[bool] = False

    groups: Sequence[GroupReport]
    after: str
    text: str
    registry: str
    sort: str
    pinned: bool
    registries: Sequence[str]
    repository: str = ""


def sort_names(
    rows: "Sequence[NamedRow]", query: ImageQuery, sizes: Mapping[str, int]
) -> "list[tuple[float, NamedRow]]":
    """Return the images of a page and of the first one behind it, with their sort keys.

    `sizes` are stored bytes by digest. Those with the largest size, or the latest pull, come first.
    """
    keyed = [
        (-float(sizes.get(row.digest, 0)) if query.sort == "size" else -row.pulled, row)
        for row in rows
    ]
    keyed.sort(key=lambda each: (each[0], each[1].repository, each[1].reference))
    after = query.read_after()
    following = [each for each in keyed if (each[0], each[1].repository, each[1].reference) > after]
    return following[: PAGE + 1]
