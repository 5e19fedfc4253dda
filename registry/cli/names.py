"""Finding the images that the names and globs on the command line mean."""

from registry.cli.messages import fail
from registry.cli.session import Session
from registry.errors import ImageUnknown, MirrorNamed, NameUnknown, PatternUnmatched
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import Reference, Repository, format_image
from registry.settings.model import Settings

_OFFLINE = "no upstream is asked (offline = true): import a bundle that contains it"
_LIST = "list what is stored: entrepot images ls"


async def find_names(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return the images that these names and globs mean, each once.

    A glob means all stored images that match it; if there are none, the command ends with 1. A name
    means one image, even if it is not stored.

    Raises:
        InvalidInput: an argument is not a name.
    """
    registries = session.settings.registries
    found: dict[tuple[Repository, Reference], None] = {}
    for name in names:
        if not is_pattern(name):
            found[parse_image(name, registries)] = None
            continue
        pattern = ImagePattern.parse(name, registries)
        matched = await session.content.images.find([pattern])
        if not matched:
            fail(format_unmatched(name), 1)
        found |= dict.fromkeys(matched)
    return list(found)


async def find_known(session: Session, names: list[str]) -> list[tuple[Repository, Reference]]:
    """Return the stored images that these names and globs mean, each once.

    If a name or glob means no stored image, the command ends with 1.

    Raises:
        InvalidInput: an argument is not a name.
    """
    found = await find_names(session, names)
    try:
        await session.content.images.plan_pins(found, [])  # raises if an image is not stored
    except ImageUnknown as error:
        fail(f"{error}; {_LIST}", 1)
    return found


def require_upstream(settings: Settings, image: tuple[Repository, Reference]) -> None:
    """Refuse an image whose registry is not configured.

    Raises:
        MirrorNamed: it begins with the address of a mirror, as in `docker pull`.
        NameUnknown: its registry is another one.
    """
    registry, registries = image[0].registry, settings.registries
    if registry in settings.upstreams:
        return
    rest = format_image(*image).partition("/")[2]
    port = settings.server.listen.port
    own = {str(settings.server.listen), f"127.0.0.1:{port}", f"localhost:{port}"}
    if registry in own or rest.partition("/")[0] in registries.names:
        raise MirrorNamed(registry, format_image(*parse_image(rest, registries)))
    raise NameUnknown(registry, tuple(settings.upstreams))


def format_unmatched(name: str) -> str:
    """Return the message about a name or glob that matches no stored image."""
    return f"{PatternUnmatched(name)}; {_LIST}"


def format_rest(session: Session, image: str) -> str:
    """Return how to get the missing parts of a stored image."""
    return _OFFLINE if session.settings.offline else f"run: entrepot images refresh {image}"


def format_unknown(session: Session, error: ImageUnknown) -> str:
    """Return the message about an image that has to be stored first, and how to do that."""
    if session.settings.offline:
        return f"{error}; {_OFFLINE}"
    choice = "name one of these, or " if error.near else ""
    return f"{error}; {choice}run first: entrepot images warm {error.image}"


def match_exactly(names: list[tuple[Repository, Reference]]) -> list[ImagePattern]:
    """Return patterns that match only these images."""
    return [ImagePattern((str(repository),), str(reference)) for repository, reference in names]
