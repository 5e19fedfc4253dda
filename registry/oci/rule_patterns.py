"""Patterns of rules: globs over full names of repositories, and over tags."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from registry.errors import InvalidInput
from registry.oci.image_patterns import is_pattern
from registry.oci.registries import Registries

ANY = "*"


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
        head, slash, last = text.rpartition("/")
        name, colon, tag = last.partition(":")
        repositories = f"{head}{slash}{name}"
        if "@" in text or not name or (colon and not tag):
            raise InvalidInput(
                f"{text[:300]!r} is not a pattern: write registry/repository, and :tag if needed"
            )
        first = repositories.partition("/")[0]
        has_registry = registries.has_registry(repositories) or is_pattern(first)
        if not has_registry:
            raise InvalidInput(
                f"{text[:300]!r} does not begin with a registry, as docker.io/library/nginx does"
            )
        return cls(registries.resolve(repositories), tag or ANY)

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
