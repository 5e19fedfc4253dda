"""What an action on several images will do: to which images, and what it frees together."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.catalog.image_groups import ImageGroupCatalog
from registry.catalog.image_pages import ImageFilter, ImagePageCatalog, NamedRow
from registry.content.deletion import ImageDeletion
from registry.errors import InvalidInput
from registry.oci.names import (
    Reference,
    Repository,
    format_image,
    parse_reference,
    parse_repository,
)

MOST = 1000  # images of one action
Image = tuple[Repository, Reference]


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """Images that were selected, by their names, and what their removal would free.

    `size` bytes of them are stored, and `frees` would be freed; shared blobs count once. Images in
    `kept` stay: each has the name of the pin that keeps it. `former` has the tags that have led to
    images which have no tag now. `seal` changes with the names, so that
    only those are changed that a page has shown.
    """

    verb: str
    names: Sequence[str]
    size: int
    frees: int
    kept: Mapping[str, str]
    former: Mapping[str, str]
    seal: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Selected images, and the report of them."""

    images: Sequence[Image]
    report: SelectionReport


@dataclass(frozen=True, slots=True)
class SelectionReader:
    """Describes several images together."""

    pages: ImagePageCatalog
    groups: ImageGroupCatalog
    deletion: ImageDeletion

    async def describe(
        self, verb: str, images: Iterable[Image], repositories: Iterable[Repository]
    ) -> Selection:
        """Return the images that are known, with all those of the repositories.

        Raises:
            InvalidInput: they are too many.
            StoreError: the catalog refused.
        """
        rows: dict[str, NamedRow] = {}
        for repository in repositories:
            found = await self.pages.list_ordered(ImageFilter(repository=str(repository)))
            rows |= {row.name: row for row in _choose(verb, found)}
            _refuse_many(len(rows))
        for repository, reference in images:
            row = await self.pages.find(str(repository), str(reference))
            if row is not None:
                rows[row.name] = row
            _refuse_many(len(rows))
        chosen = {
            name: (parse_repository(row.repository), parse_reference(row.reference))
            for name, row in sorted(rows.items())
        }
        plan = await self.deletion.plan(chosen.values())
        report = SelectionReport(
            verb=verb,
            names=list(chosen),
            size=await self.groups.measure_together(row.digest for row in rows.values()),
            frees=sum(sum(removal.blobs.values()) for removal in plan.removals),
            kept={format_image(*image): pin for image, pin in plan.refused.items()},
            former={row.name: row.former for row in rows.values() if row.former},
            seal=make_seal(chosen),
        )
        return Selection(list(chosen.values()), report)


def _choose(verb: str, found: Sequence[NamedRow]) -> Sequence[NamedRow]:
    """Return what is meant by a repository: to keep it, nobody means the former images of its tags.

    If it has no tag, all of its images are meant.
    """
    tagged = [row for row in found if row.reference != row.digest]
    return (tagged or found) if verb == "pin" else found


def _refuse_many(count: int) -> None:
    if count > MOST:
        raise InvalidInput(f"these are more than {MOST:,} images: select fewer of them")


def make_seal(names: Iterable[str]) -> str:
    """Return a short text that is another one for other names."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
