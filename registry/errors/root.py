"""The root of the tree of errors."""

from collections.abc import Mapping
from typing import Any, Self, TypeVar


class EntrepotError(Exception):
    """The root of the tree; `str()` is a message for operators and clients."""

    @property
    def public(self) -> str:
        """What clients may read: the message, if it names nothing that concerns operators only."""
        return str(self)

    def copy(self) -> Self:
        """Return a copy without the traceback, which would keep local variables in memory."""
        return _make(type(self), self.args, self.__dict__)

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process (`pickle`): the constructors do not take the message."""
        return _make, (type(self), self.args, self.__dict__)


_Error = TypeVar("_Error", bound=EntrepotError)


def _make(kind: type[_Error], args: tuple[object, ...], facts: Mapping[str, object]) -> _Error:
    made = kind.__new__(kind)
    made.args = args
    made.__dict__.update(facts)
    return made
