"""Which images are meant by the names and globs that people type."""

from registry.cli.session import Session
from registry.errors import NameUnknown
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import Reference, Repository


async def find_names(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return the images that are meant, each once.

    A glob means images that are stored here. A name means that image, stored here or not.

    Raises:
        InvalidInput: one of them is not a name.
        NameUnknown: a glob matches no image that is stored here.
    """
    default = session.settings.default_upstream
    found: dict[tuple[Repository, Reference], None] = {}
    for name in names:
        if not is_pattern(name):
            found[parse_image(name, default)] = None
            continue
        pattern = ImagePattern.parse(name, default)
        matched = await session.content.images.find([pattern])
        if not matched:
            raise NameUnknown(name)
        found |= dict.fromkeys(matched)
    return list(found)


async def find_known(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return the images that are meant, all of which are stored here.

    Raises:
        InvalidInput: one of them is not a name.
        NameUnknown: a glob matches no image that is stored here.
        ManifestUnknown: a name means an image that is not stored here.
    """
    found = await find_names(session, names)
    await session.content.images.plan_pins(found, [])  # raises where an image is not stored
    return found


def match_exactly(names: list[tuple[Repository, Reference]]) -> list[ImagePattern]:
    """Return patterns that match only these images."""
    return [ImagePattern(str(repository), str(reference)) for repository, reference in names]
