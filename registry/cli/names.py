"""Finding the images that the names and globs on the command line mean."""

from registry.cli.session import Session
from registry.errors import NameUnknown
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import Reference, Repository


async def find_names(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return the images that these names and globs mean, each once.

    A glob means all stored images that match it. A name means one image, even if it is not stored.

    Raises:
        InvalidInput: an argument is not a name.
        NameUnknown: a glob matches no stored image.
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
    """Return the stored images that these names and globs mean, each once.

    Raises:
        InvalidInput: an argument is not a name.
        NameUnknown: a glob matches no stored image.
        ManifestUnknown: a name means an image that is not stored.
    """
    found = await find_names(session, names)
    await session.content.images.plan_pins(found, [])  # raises if an image is not stored
    return found


def match_exactly(names: list[tuple[Repository, Reference]]) -> list[ImagePattern]:
    """Return patterns that match only these images."""
    return [ImagePattern(str(repository), str(reference)) for repository, reference in names]
