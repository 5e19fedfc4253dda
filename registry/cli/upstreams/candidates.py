"""Which endpoints and images `upstreams test` is about: arguments, a file, and the settings."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from registry.errors import FileUnreadable, InvalidInput, SettingsError
from registry.oci.image_patterns import parse_image
from registry.settings.endpoints import parse_endpoint
from registry.settings.known_images import WELL_KNOWN, AskedImage
from registry.settings.model import Settings
from registry.settings.named_files import read_first
from registry.settings.values import Refusal, format_key

STDIN = "-"
MAX_LIST = 1024 * 1024  # bytes of a file with URLs
MAX_CANDIDATES = 200
MAX_FAULTS = 10  # URLs that cannot be used; the others are only counted


class Unusable(InvalidInput):
    """An argument of the command that cannot be used."""


def find_upstream(settings: Settings, name: str, option: str = "--upstream") -> str:
    """Return the upstream that a name or an alias means; empty means the default one.

    `option` is what the command calls the name.

    Raises:
        SettingsError: there is no such upstream.
    """
    if not name:
        return settings.default_upstream
    found = settings.registries.names.get(name.lower())
    if found is None:
        key = format_key(("upstreams", name))
        cure = f"write [{key}] in the settings, or name one of: {', '.join(settings.upstreams)}"
        raise SettingsError(option, f"there is no upstream {name!r}", cure)
    return found


def read_urls(arguments: Sequence[str], file: str) -> list[str]:
    """Return the URLs of the command line and of a file (`-`: stdin; empty: none), each once.

    Raises:
        Unusable: some URLs are not those of registries, or there are too many.
        FileUnreadable: the file cannot be read.
    """
    named = [("", url) for url in arguments]
    named += _list_lines(file, _read_text(file)) if file else []
    found: dict[str, None] = {}
    faults = []
    for place, text in named:
        try:
            found[parse_endpoint(text)] = None
        except Refusal as error:
            faults.append(f"{place}{error}")
    if faults:
        more = len(faults) - MAX_FAULTS
        raise Unusable("\n".join([*faults[:MAX_FAULTS], *[f"and {more} more"] * (more > 0)]))
    if len(found) > MAX_CANDIDATES:
        raise Unusable(f"{len(found)} URLs are too many; test at most {MAX_CANDIDATES} at once")
    return [*found]


def _list_lines(file: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the URLs of a text, each with its place; a `#` begins a comment."""
    name = "stdin" if file == STDIN else file
    for number, line in enumerate(text.splitlines(), 1):
        url = line.partition("#")[0].strip()
        if url:
            yield f"{name}:{number}: ", url


def _read_text(file: str) -> str:
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(MAX_LIST + 1)
        else:
            content = read_first(Path(file), MAX_LIST + 1)
    except OSError as error:
        raise FileUnreadable(file, error, "name a file with one URL on each line") from error
    if len(content) > MAX_LIST:
        raise Unusable(f"{file}: more than {MAX_LIST >> 20} MiB; name a file with one URL a line")
    return content.decode("utf-8-sig", "replace")


def read_images(settings: Settings, upstream: str, images: Sequence[str]) -> list[AskedImage]:
    """Return the images to ask for.

    Without `images`, they are those that everybody knows of this upstream.

    Raises:
        InvalidInput: an image is of another upstream, or its name cannot be read; or no image of
            this upstream is known.
    """
    if not (images or upstream in WELL_KNOWN):
        raise Unusable(f"name an image of {upstream} to ask for: --image team/app:1")
    registries = settings.registries.with_default(upstream)
    found = []
    for image in images or WELL_KNOWN[upstream]:
        repository, reference = parse_image(image, registries)
        if repository.registry != upstream:
            raise Unusable(f"{image} is not an image of {upstream}")
        mark = "@" if ":" in str(reference) else ":"
        name = f"{repository.name}{mark}{reference}"
        found.append(AskedImage(name, repository.name, reference))
    return found
