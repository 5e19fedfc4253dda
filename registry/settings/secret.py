"""A password in the settings, which is never printed by mistake."""

from dataclasses import dataclass, field

from registry.settings.values import MASK


@dataclass(frozen=True, slots=True)
class Secret:
    """A password, or "" for none; printed, it is asterisks."""

    value: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self.value)

    def __str__(self) -> str:
        """Asterisks, or nothing for none."""
        return MASK if self else ""
