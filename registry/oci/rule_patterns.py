"""Patterns of rules: globs over full names of repositories, and over tags."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.errors import InvalidInput
from registry.oci.image_patterns import is_pattern
from registry.oci.registries import Registries, is_host_name

ANY = "*"
_HUB = "docker.io"  # the registry whose names may lack `library/`
# Other characters never match: a pattern with them would seem to say something, and say nothing.
_REGISTRIES = re.compile(r"[a-z0-9._:*?\[\]!-]+")
_REPOSITORIES = re.compile(r"[a-z0-9._/*?\[\]!-]+")
_TAGS = re.compile(r"[A-Za-z0-9._*?\[\]!-]+")


@dataclass(frozen=True, slots=True)
class RulePattern:
    """A glob over `registry/repository`, and one over tags.

    Unlike in `ImagePattern`, a name has to be full: a short one would be easy to misread in a rule.
    """

    repositories: str
    tags: str = ANY

    @classmethod
    def parse(cls, text: str, registries: Registries) -> "RulePattern":
        """Read a pattern such as `*`, `ghcr.io/acme/*` or `docker.io/library/nginx:1.*`.

        A `*` matches any characters, including `/`. As for docker, `docker.io/nginx` means
        `docker.io/library/nginx`.

        Raises:
            InvalidInput: it does not begin with a registry, names a digest, or has characters that
                no name has.
        """
        repositories, tag = _split(text, "registry/repository")
        first = repositories.partition("/")[0]
        has_registry = registries.has_registry(repositories) or is_pattern(first)
        if not has_registry:
            raise InvalidInput(
                f"{text[:300]!r} does not begin with a registry, as docker.io/library/nginx does"
            )
        registry, slash, rest = registries.resolve(repositories).partition("/")
        if not _REGISTRIES.fullmatch(registry):
            raise _refuse(text)
        if not slash:  # a glob that stands for names too
            _check_form(text, ANY, tag)
            return cls(registry, tag or ANY)
        return cls._place(text, registry, rest, tag)

    @classmethod
    def parse_within(cls, text: str, registry: str, aliases: Collection[str] = ()) -> "RulePattern":
        """Read a pattern of one registry, whose name or alias may be left out.

        As for docker, `nginx` and `nginx*` of Docker Hub mean `library/nginx` and `library/nginx*`.
        A pattern that begins with a wildcard, such as `*nginx`, means all names.

        Raises:
            InvalidInput: it begins with another registry, names a digest, or has characters that no
                name has.
        """
        repositories, tag = _split(text, "repository")
        first, slash, rest = repositories.partition("/")
        if slash and first in (registry, *aliases):
            repositories = rest
        elif slash and is_host_name(first):
            raise InvalidInput(
                f"{text[:300]!r} begins with another registry; write {registry}/{text[:300]} if"
                f" {first[:300]} belongs to the name"
            )
        return cls._place(text, registry, repositories, tag)

    @classmethod
    def _place(cls, text: str, registry: str, names: str, tag: str) -> "RulePattern":
        _check_form(text, names, tag)
        if registry == _HUB and "/" not in names and not is_pattern(names[0]):
            names = f"library/{names}"
        return cls(f"{registry}/{names}", tag or ANY)

    def matches(self, repository: str) -> bool:
        """Whether a full repository name matches."""
        return fnmatchcase(repository, self.repositories)

    def names_registry(self, registry: str) -> bool:
        """Whether the pattern spells out this registry."""
        return self.repositories.partition("/")[0] == registry

    def matches_tag(self, tag: str) -> bool:
        """Whether a tag matches; every tag does if the pattern names none."""
        return fnmatchcase(tag, self.tags)

    @property
    def has_tag(self) -> bool:
        """Whether the pattern is about some tags only."""
        return self.tags != ANY


def _check_form(text: str, names: str, tag: str) -> None:
    if not _REPOSITORIES.fullmatch(names) or "//" in names or not _TAGS.fullmatch(tag or ANY):
        raise _refuse(text)


def _refuse(text: str) -> InvalidInput:
    return InvalidInput(f"{text[:300]!r} can match no image: see the grammar of names")


def _split(text: str, form: str) -> tuple[str, str]:
    """Return the parts of a pattern for repositories and for tags; the latter may be empty."""
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    if "@" in text or not name or (colon and not tag):
        raise InvalidInput(f"{text[:300]!r} is not a pattern: write {form}, and :tag if needed")
    return f"{head}{slash}{name}", tag
