"""The sources of image names for commands: arguments, files of any kind, and earlier pulls."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from registry.cli.choices import read_choice
from registry.cli.images.gathered import NO_IMAGE, Gathered
from registry.cli.messages import warn
from registry.cli.session import Session
from registry.cli.terminal import format_age
from registry.errors import FileUnreadable, ListInvalid
from registry.image_lists.detection import MAX_SIZE, STDIN, Kind, decode, detect, find_images
from registry.image_lists.env_file import gather_variables
from registry.image_lists.results import Findings, ListedImage, Note
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import format_image
from registry.settings.named_files import read_first
from registry.settings.values import Refusal, format_duration, parse_duration

COMMAND_LINE = "the command line"


def _read_period(text: str) -> float:
    try:
        return parse_duration(text)
    except Refusal as error:
        raise typer.BadParameter(str(error)) from None


Images = Annotated[
    list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Names; no tag means latest.")
]
Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A list, compose file, Kubernetes YAML, Dockerfile, or the list of Zarf, Hauler or"
        " skopeo sync; - is stdin; may be repeated.",
    ),
]
FileKind = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        metavar="|".join(Kind),
        parser=read_choice(tuple(Kind)),
        help="The kind of the files. Default: detected.",
    ),
]
Guesses = Annotated[
    bool,
    typer.Option(
        "--guesses",
        help="Take all texts that look like images too, such as the arguments of a Kubernetes"
        " operator.",
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Values for compose files, instead of the .env next to each. The environment has"
        " precedence.",
    ),
]
BuildArgs = Annotated[
    list[str] | None,
    typer.Option(
        "--build-arg", metavar="NAME=VALUE", help="An ARG of Dockerfiles; may be repeated."
    ),
]
PulledSince = Annotated[
    float | None,
    typer.Option(
        "--pulled-since",
        metavar="PERIOD",
        parser=_read_period,
        help="Add the images that clients pulled from this mirror in the last PERIOD: 30d, 12h,"
        " forever.",
    ),
]
Clients = Annotated[
    list[str] | None,
    typer.Option(
        "--client",
        metavar="ADDRESS",
        help="Only the images that this address, network or glob pulled; may be repeated.",
    ),
]
Pulled = Annotated[
    list[str] | None,
    typer.Option(
        "--pulled",
        metavar="GLOB",
        help="Only pulled images that match; may be repeated. Without --pulled-since, of all time.",
    ),
]


@dataclass(frozen=True, slots=True)
class Sources:
    """The values of the options that name images; `period` is in seconds.

    `guesses` says whether texts that only look like images are taken too.
    """

    images: Sequence[str] = ()
    files: Sequence[str] = ()
    kind: Kind | None = None
    env_file: Path | None = None
    build_args: Sequence[str] = ()
    period: float | None = None
    clients: Sequence[str] = ()
    pulled: Sequence[str] = ()
    guesses: bool = False

    @property
    def has_history(self) -> bool:
        """Whether earlier pulls are a source."""
        return self.period is not None or bool(self.clients or self.pulled)

    @property
    def is_empty(self) -> bool:
        """Whether no source was named."""
        return not (self.images or self.files or self.has_history)

    @property
    def is_history(self) -> bool:
        """Whether earlier pulls are the only source: then no image is no mistake."""
        return self.has_history and not (self.images or self.files)


def suggest_files(images: Sequence[str]) -> None:
    """Warn of each image that is also the name of a file, which is read only with `-f`."""
    for each in images:
        if Path(each).suffix and Path(each).is_file():
            warn(f"{each} is taken for the name of an image; to read the file, write -f {each}")


async def gather(session: Session, sources: Sources) -> Gathered:
    """Read all sources: arguments first, then files in their order, then earlier pulls.

    Raises:
        InvalidInput: a source cannot be read; the message says where, and what to do.
        StoreError: the catalog cannot be read.
    """
    if sources.is_empty:
        cure = "name images, a file with --file (- is stdin), or a time with --pulled-since"
        raise ListInvalid("no images", 0, "nothing was named", cure)
    findings = read_files(sources)
    wanted = [_read_name(name, session) for name in sources.images]
    wanted += [each for found in findings for each in found.images]
    if sources.has_history:
        wanted += await _list_pulled(session, sources)
    notes = [note for found in findings for note in found.notes]
    return Gathered.of(wanted, notes, session.settings.registries, guesses=sources.guesses)


def read_files(sources: Sources) -> list[Findings]:
    """Read only the files, for commands that have no store.

    Raises:
        ListInvalid: a file cannot be read; the message says where, and what to do.
    """
    arguments = _read_build_args(sources.build_args)
    return [_read_file(name, sources, arguments) for name in sources.files]


def format_no_pulls(sources: Sources) -> str:
    """Return a sentence that says of which time and clients there are no pulls."""
    text = "no client has pulled an image from this mirror"
    if sources.period is not None and sources.period < math.inf:
        text += f" in the last {format_duration(sources.period)}"
    filters = [("--client", sources.clients), ("--pulled", sources.pulled)]
    named = " and ".join(f"{option} {', '.join(values)}" for option, values in filters if values)
    return f"{text} that matches {named}" if named else text


def refuse_nothing(sources: Sources, gathered: Gathered) -> NoReturn:
    """Raise the error for sources that name no image that can be taken.

    This is an error, because a program that should write the list may have failed. If nothing but
    earlier pulls was named, use `format_no_pulls`.

    Raises:
        ListInvalid: always.
    """
    whys, cures = [], []
    if sources.files:
        whys.append(", ".join(map(_format_source, sources.files)))
        if gathered.guesses:
            cures.append("take the texts that look like images with --guesses")
        elif any(note.why != NO_IMAGE for note in gathered.notes):
            cures.append("the lines before this one say what to do")
        else:
            cures.append("check whether the program that wrote it failed")
    if sources.has_history:
        whys.append("the images that clients pulled")
        cures.append("use a longer --pulled-since, or other clients and globs")
    raise ListInvalid("no images", 0, f"none in {' or '.join(whys)}", ", or ".join(cures))


def _format_source(name: str) -> str:
    return "stdin" if name == STDIN else name


def _read_name(name: str, session: Session) -> ListedImage:
    if is_pattern(name):
        cure = f"to use the images that clients pulled, write --pulled '{name}'"
        raise ListInvalid(name, 0, "is a glob, and upstreams only know names", cure)
    path = Path(name)
    if path.suffix and path.is_file():
        raise ListInvalid(name, 0, "is a file, not an image", f"write --file {name}")
    # Here a name without a registry means the default upstream; in files it means Docker Hub.
    image = parse_image(name, session.settings.registries)
    return ListedImage(format_image(*image), COMMAND_LINE)


def _read_file(name: str, sources: Sources, arguments: Mapping[str, str]) -> Findings:
    data = sys.stdin.buffer.read(MAX_SIZE + 1) if name == STDIN else _read_bytes(Path(name))
    kind = sources.kind or detect(name, decode(data, name))
    variables = _read_variables(name, sources) if kind is Kind.COMPOSE else {}
    found = find_images(data, name, kind=kind, variables=variables, arguments=arguments)
    if found.images or found.notes:
        return found
    return Findings(notes=(Note(_format_source(name), NO_IMAGE),))


def _read_bytes(path: Path) -> bytes:
    try:
        return read_first(path, MAX_SIZE + 1)
    except OSError as error:
        raise FileUnreadable(str(path), error, "name a file, or - for stdin") from error


def _read_variables(name: str, sources: Sources) -> Mapping[str, str]:
    path = sources.env_file
    if path is None:
        path = Path() if name == STDIN else Path(name).parent
        path /= ".env"
        if not path.is_file():
            return gather_variables(os.environ)
    return gather_variables(os.environ, decode(_read_bytes(path), str(path)), str(path))


def _read_build_args(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not name or not (equals or name in os.environ):
            cure = "write NAME=VALUE, or a NAME that is in the environment"
            raise ListInvalid("--build-arg", 0, f"{each[:100]!r} gives no value", cure)
        found[name] = value if equals else os.environ[name]
    return found


async def _list_pulled(session: Session, sources: Sources) -> list[ListedImage]:
    from registry.content.pull_history import ClientPattern  # noqa: PLC0415

    registries = session.settings.registries
    pulled = await session.content.pull_history.list_pulled(
        math.inf if sources.period is None else sources.period,
        [ClientPattern.parse(each) for each in sources.clients],
        [ImagePattern.parse(each, registries) for each in sources.pulled],
    )
    return [
        ListedImage(
            format_image(each.repository, each.reference),
            f"pulled {format_age(each.pulled)} by {_format_clients(each.clients)}",
        )
        for each in pulled
    ]


def _format_clients(clients: Sequence[str]) -> str:
    text = ", ".join(clients[:3]) or "an unknown client"
    return f"{text} and {len(clients) - 3} more" if len(clients) > 3 else text
