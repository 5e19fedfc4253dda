"""Which registry the first part of an image name means: by its name, an alias, or the default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Registries:
    """The registry `default` of plain names, and all known `names`: each leads to a registry.

    `names` has each registry's own name and its aliases. Other registries are known by their form.
    """

    default: str
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, default: str, aliases: Mapping[str, Iterable[str]]) -> "Registries":
        """Make the table; `aliases` maps each registry to its other names."""
        names = {name: name for name in aliases}
        for name, others in aliases.items():
            names.update(dict.fromkeys(others, name))
        return cls(default, names)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names of the registries, without their aliases."""
        return tuple(dict.fromkeys(self.names.values()))

    def with_default(self, default: str) -> "Registries":
        """Return a copy of the table in which plain names mean another registry."""
        return replace(self, default=default)

    def resolve(self, name: str) -> str:
        """Return a name or glob with its registry's own name in place of an alias.

        A name that begins with no known registry is returned as it is.
        """
        first, slash, rest = name.partition("/")
        return f"{self.names[first]}/{rest}" if slash and first in self.names else name

    def has_registry(self, name: str) -> bool:
        """Whether a name or glob begins with a registry: a known one, or by the rule of docker."""
        first, slash, _ = name.partition("/")
        return bool(slash) and (first in self.names or is_host_name(first) or first == "localhost")


def is_host_name(segment: str) -> bool:
    """Whether the first part of a name is a host name, with which no repository name begins."""
    return "." in segment or ":" in segment
