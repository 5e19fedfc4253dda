"""The images that people mean by what they type."""

from registry.cli.session import Session
from registry.errors import NameUnknown
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import Reference, Repository


async def find_names(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return what is meant, each once: by a glob what is here, by a name itself, here or not.

    Raises:
        InvalidInput: not a name.
        NameUnknown: a glob means nothing that is here.
    """
    default = session.settings.default_upstream
    found: dict[tuple[Repository, Reference], None] = {}
    for name in names:
        if not is_pattern(name):
            found[parse_image(name, default)] = None
            continue
        pattern = ImagePattern.parse(name, default)
        meant = await session.content.images.find([pattern])
        if not meant:
            raise NameUnknown(name)
        found |= dict.fromkeys(meant)
    return list(found)


async def find_known(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return what is meant, all of it here.

    Raises:
        InvalidInput: not a name.
        NameUnknown: a glob means nothing that is here.
        ManifestUnknown: a name means nothing that is here.
    """
    found = await find_names(session, names)
    await session.content.images.plan_pins(found, [])  # raises where one is not here
    return found


def match_exactly(names: list[tuple[Repository, Reference]]) -> list[ImagePattern]:
    """Return patterns that mean just these images."""
    return [ImagePattern(str(repository), str(reference)) for repository, reference in names]
