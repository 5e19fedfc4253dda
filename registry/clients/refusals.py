"""Refusals that name a line of a text. Pure."""

from registry.settings.values import Refusal


class LineRefusal(Refusal):
    """A text that cannot be used, because of something in the line `line`."""

    def __init__(self, line: int, why: str, cure: str) -> None:
        self.line = line
        super().__init__(why, cure)


def refuse_at(text: str, at: int, why: str, cure: str) -> LineRefusal:
    """Return the refusal of a text, with the line of the index `at`, where the reason stands."""
    return LineRefusal(text.count("\n", 0, at) + 1, why, cure)
