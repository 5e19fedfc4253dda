"""Options that take one of a few words, with errors in plain words."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

_Choice = TypeVar("_Choice", bound=str)


def read_choice(choices: Sequence[_Choice]) -> Callable[[object], _Choice]:
    """Return a parser of one of these words, for `typer.Option(parser=...)`.

    The parser raises `typer.BadParameter` for everything else. typer's own choices would put the
    texts of a library into their errors.
    """

    def read(value: object) -> _Choice:
        text = str(value)
        if text in choices:
            return choices[choices.index(text)]
        *others, last = choices
        raise typer.BadParameter(f"{text[:40]!r} is not {', '.join(others)} or {last}")

    return read
