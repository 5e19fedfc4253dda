"""Why a tag does not follow its upstream."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TagHold:
    """Why a tag leads to another manifest than its upstream says; by default it does not.

    A newer manifest becomes old enough at `due` (epoch seconds; infinity: never by itself; 0: none
    waits): then it has to be decided again what the tag leads to. If an operator has rolled the tag
    back, the upstream is not asked.
    """

    due: float = 0.0
    is_rolled_back: bool = False

    def is_due(self, now: float) -> bool:
        """Whether it has to be decided again what the tag leads to."""
        return bool(self.due) and now >= self.due

    @property
    def is_none(self) -> bool:
        """Whether the tag follows its upstream."""
        return not (self.due or self.is_rolled_back)


NO_HOLD = TagHold()
