"""Dockerfiles and Containerfiles: the images that a build pulls."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from registry.errors import ListInvalid
from registry.image_lists.dockerfile_syntax import (
    Instruction,
    read_directives,
    read_instructions,
    unquote,
)
from registry.image_lists.interpolation import Dialect, Expansion, expand
from registry.image_lists.location import RENDER_FIRST, Location, split_lines
from registry.image_lists.results import Findings, ListedImage, read_image

_NO_IMAGE = "scratch"
_COPYING = frozenset({"ADD", "COPY"})
_MAX_STAGES = 1000
_UNKNOWN = "\0"
# The builder sets these from its own platform and the target platform; the mirror knows neither.
_AUTOMATIC: Mapping[str, str] = MappingProxyType(
    {
        f"{side}{part}": _UNKNOWN
        for side in ("BUILD", "TARGET")
        for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
    }
)


def read_dockerfile(text: str, source: str, arguments: Mapping[str, str]) -> Findings:
    """Read the images of FROM, COPY --from, RUN --mount=from and `# syntax`; stages are left out.

    `arguments` are the values of `docker build --build-arg`, which replace the defaults of ARG. An
    image after ONBUILD is a guess, because only builds from the resulting image pull it.

    Raises:
        ListInvalid: there is no FROM, or a text is not an image, for example after an empty ARG.
    """
    return Findings.sort(_DockerfileReader(source, arguments).read(split_lines(text, source)))


class _DockerfileReader:
    def __init__(self, source: str, arguments: Mapping[str, str]) -> None:
        self._source = source
        self._arguments = arguments
        self._values = dict(_AUTOMATIC)
        self._stages: set[str] = set()
        self._has_stages = False  # also true of stages without a name

    def read(self, lines: list[str]) -> Iterator[ListedImage]:
        directives = read_directives(lines)
        escape = directives["escape"].value if "escape" in directives else "\\"
        if syntax := directives.get("syntax"):
            yield read_image(syntax.value.split()[0], Location(self._source, syntax.line), "syntax")
        every = tuple(read_instructions(lines, self._source, "`" if escape == "`" else "\\"))
        # A stage may copy from a later stage, but FROM names only earlier ones.
        known = frozenset({_NO_IMAGE, *map(_find_stage, every)} - {""})
        for each in every:
            if each.keyword == "FROM":
                yield from self._read_from(each)
            elif each.keyword == "ARG" and not self._has_stages:
                self._read_arg(each)
            for name, user in _list_references(each):
                if not name.isdecimal() and name.lower() not in known:
                    yield self._read_reference(name, each, user)
        if not self._has_stages:
            raise Location(self._source, 0).refuse(
                "there is no FROM", "give a Dockerfile, or say what the file is with --kind"
            )

    def _read_from(self, instruction: Instruction) -> Iterator[ListedImage]:
        location, words = self._location(instruction), instruction.words
        if any("{{" in word for word in words):
            raise location.refuse("FROM is a template", RENDER_FIRST)
        if len(words) != 1 and (len(words) != 3 or words[1].upper() != "AS"):
            raise location.refuse("FROM is not followed by one image", "write FROM image [AS name]")
        if len(self._stages) == _MAX_STAGES:
            raise location.refuse(f"more than {_MAX_STAGES} stages", "give it in parts")
        found = self._expand(unquote(words[0]), location)
        if not self._is_stage(found.text):
            yield self._read_base(words[0], found, location)
        self._has_stages = True
        if name := _find_stage(instruction):
            self._stages.add(name)

    def _is_stage(self, image: str) -> bool:
        name = image.lower()
        if _UNKNOWN not in name:
            return name == _NO_IMAGE or name in self._stages
        pattern = name.replace(_UNKNOWN, "*")
        return any(fnmatchcase(each, pattern) for each in self._stages)

    def _read_base(self, written: str, found: Expansion, location: Location) -> ListedImage:
        if _UNKNOWN in found.text:
            raise location.refuse(
                f"{written[:300]} depends on the platform",
                "write the image of each platform into a list instead",
            )
        try:
            return read_image(found.text, location, "FROM")
        except ListInvalid:
            if not found.unset:
                raise
            names = ", ".join(dict.fromkeys(found.unset))[:300]
            cure = f"write a default (ARG {found.unset[0]}=...) or give it as a build argument"
            raise location.refuse(f"{written[:300]} needs a value for {names}", cure) from None

    def _read_arg(self, instruction: Instruction) -> None:
        for word in instruction.words:
            name, has_default, default = word.partition("=")
            if name in self._arguments:
                self._values[name] = self._arguments[name]
            elif has_default and default.startswith("'"):
                self._values[name] = unquote(default)
            elif has_default:
                self._values[name] = self._expand(
                    unquote(default), self._location(instruction)
                ).text

    def _read_reference(self, name: str, instruction: Instruction, user: str) -> ListedImage:
        location = self._location(instruction)
        if "$" in name:
            cure = "name a stage for it (FROM ... AS name) and copy from that"
            raise location.refuse(f"Docker replaces no variable in {user} {name[:300]}", cure)
        return read_image(name, location, user, is_guess=instruction.is_trigger)

    def _expand(self, text: str, location: Location) -> Expansion:
        return expand(text, self._values, location, Dialect.DOCKERFILE)

    def _location(self, instruction: Instruction) -> Location:
        return Location(self._source, instruction.line)


def _find_stage(instruction: Instruction) -> str:
    is_named = instruction.keyword == "FROM" and len(instruction.words) == 3
    return instruction.words[2].lower() if is_named else ""


def _list_references(instruction: Instruction) -> Iterator[tuple[str, str]]:
    for flag in instruction.flags:
        option, _, value = flag.partition("=")
        if instruction.keyword in _COPYING and option == "--from":
            yield unquote(value), f"{instruction.keyword} --from"
        elif instruction.keyword == "RUN" and option == "--mount":
            for part in unquote(value).split(","):
                name, _, image = part.partition("=")
                if name.strip().lower() == "from":
                    yield unquote(image), "RUN --mount"
