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
from registry.image_lists.dockerfile_words import UNKNOWN, Word, replace_variables
from registry.image_lists.location import RENDER_FIRST, Location, split_lines
from registry.image_lists.results import (
    Certainty,
    Findings,
    ListedImage,
    Note,
    make_note,
    read_image,
)

_NO_IMAGE = "scratch"
_COPYING = frozenset({"ADD", "COPY"})
_MAX_STAGES = 1000
_ESCAPES = "\\`"
# BuildKit gives these a value in every build, from the platforms and the target of the build. The
# values of some of them may be empty.
_AUTOMATIC: Mapping[str, bool] = MappingProxyType(
    {
        f"{side}{part}": part in ("PLATFORM", "OS", "ARCH")
        for side in ("BUILD", "TARGET")
        for part in ("PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT")
    }
    | {"TARGETSTAGE": True}
)
# If a file has a stage with such a name, then a name that consists only of the platform means one.
_PLATFORM_WORDS = frozenset(
    {
        *("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"),
        *("linux", "windows", "v6", "v7", "v8"),
    }
)
_GIVE_VALUES = "give its values with --build-arg, or write the images into a list"


def read_dockerfile(text: str, source: str, arguments: Mapping[str, str]) -> Findings:
    """Read the images of FROM, COPY --from, RUN --mount=from and `# syntax`; stages are left out.

    `arguments` are the values of `docker build --build-arg`, which replace the defaults of ARG. An
    image after ONBUILD is a guess, because only builds from the resulting image pull it. An image
    that depends on the platform, or on a value that is not given, is noted, and the rest is read.

    Raises:
        ListInvalid: there is no FROM, or a text is not an image.
    """
    return Findings.sort(_DockerfileReader(source, arguments).read(split_lines(text, source)))


class _DockerfileReader:
    def __init__(self, source: str, arguments: Mapping[str, str]) -> None:
        self._source = source
        self._arguments = arguments
        self._values = {
            name: Word(UNKNOWN, (f"{name} is known only in a build",), is_filled=is_filled)
            for name, is_filled in _AUTOMATIC.items()
        }
        given = _AUTOMATIC.keys() & arguments.keys()
        self._values |= {name: Word(arguments[name]) for name in given}
        self._declared: set[str] = set()  # names of ARG before the first FROM
        self._stages: set[str] = set()
        self._has_stages = False  # also true of stages without a name
        self._escape = _ESCAPES[0]

    def read(self, lines: list[str]) -> Iterator[ListedImage | Note]:
        directives = read_directives(lines)
        if "escape" in directives and directives["escape"].value in _ESCAPES:
            self._escape = directives["escape"].value
        if syntax := directives.get("syntax"):
            yield read_image(syntax.value.split()[0], Location(self._source, syntax.line), "syntax")
        every = tuple(read_instructions(lines, self._source, self._escape))
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

    def _read_from(self, instruction: Instruction) -> Iterator[ListedImage | Note]:
        location, words = self._location(instruction), instruction.words
        if any("{{" in word for word in words):
            raise location.refuse("FROM is a template", RENDER_FIRST)
        if len(words) != 1 and (len(words) != 3 or words[1].upper() != "AS"):
            raise location.refuse("FROM is not followed by one image", "write FROM image [AS name]")
        if len(self._stages) == _MAX_STAGES:
            raise location.refuse(f"more than {_MAX_STAGES} stages", "give it in parts")
        found = self._replace(words[0])
        if not self._is_stage(found):
            yield self._read_base(words[0], found, location)
        self._has_stages = True
        if name := _find_stage(instruction):
            self._stages.add(name)

    def _is_stage(self, image: Word) -> bool:
        name = image.text.lower()
        if not image.reasons:
            return name == _NO_IMAGE or name in self._stages
        if not name.strip(UNKNOWN):
            return not _PLATFORM_WORDS.isdisjoint(self._stages)
        pattern = name.replace(UNKNOWN, "*")
        return any(fnmatchcase(each, pattern) for each in self._stages)

    def _read_base(self, written: str, found: Word, location: Location) -> ListedImage | Note:
        if found.reasons:
            why = f"it is not known which image {written[:300]} is: {'; '.join(found.reasons)}"
            return make_note(location, "FROM", f"{why}; {_GIVE_VALUES}", is_unknown=True)
        try:
            return read_image(found.text, location, "FROM")
        except ListInvalid:
            if not found.unset:
                raise
            names = ", ".join(found.unset)[:300]
            first = found.unset[0]
            cure = f"write a default (ARG {first}=...)"
            if first in self._declared:  # Docker gives a value only to these
                cure += f" or give it with --build-arg {first}=..."
            why = f"{written[:300]} needs a value for {names}; {cure}"
            return make_note(location, "FROM", why, is_unknown=True)

    def _read_arg(self, instruction: Instruction) -> None:
        for word in instruction.words:
            name, has_default, default = word.partition("=")
            self._declared.add(name)
            if name in self._arguments:
                self._values[name] = Word(self._arguments[name])
            elif has_default:
                self._values[name] = self._replace(default)

    def _read_reference(self, name: str, instruction: Instruction, user: str) -> ListedImage | Note:
        location = self._location(instruction)
        if "$" in name:
            cure = "name a stage for it (FROM ... AS name) and copy from that"
            why = f"Docker replaces no variable in {user} {name[:300]}; {cure}"
            return make_note(location, user, why, is_unknown=True)
        certainty = Certainty.LIKELY if instruction.is_trigger else Certainty.NAMED
        return read_image(name, location, user, certainty)

    def _replace(self, text: str) -> Word:
        return replace_variables(text, self._values, self._escape)

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
