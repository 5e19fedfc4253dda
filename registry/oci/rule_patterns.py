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

        A `*` matches any characters, including `/`.

        Raises:
            InvalidInput: it does not begin with a registry, or names a digest.
        """
        repositories, tag = _split(text, "registry/repository")
        first = repositories.partition("/")[0]
        has_registry = registries.has_registry(repositories) or is_pattern(first)
        if not has_registry:
            raise InvalidInput(
                f"{text[:300]!r} does not begin with a registry, as docker.io/library/nginx does"
            )
        return cls(registries.resolve(repositories), tag or ANY)

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
        if not _REPOSITORIES.fullmatch(repositories) or not _TAGS.fullmatch(tag or ANY):
            raise InvalidInput(f"{text[:300]!r} can match no image: see the grammar of names")
        if registry == _HUB and "/" not in repositories and not is_pattern(repositories[0]):
            repositories = f"library/{repositories}"
        return cls(f"{registry}/{repositories}", tag or ANY)

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


def _split(text: str, form: str) -> tuple[str, str]:
    """Return the parts of a pattern for repositories and for tags; the latter may be empty."""
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    if "@" in text or not name or (colon and not tag):
        raise InvalidInput(f"{text[:300]!r} is not a pattern: write {form}, and :tag if needed")
    return f"{head}{slash}{name}", tag
