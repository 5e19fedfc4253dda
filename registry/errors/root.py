"""The root of the tree of errors."""

from typing import Self


class EntrepotError(Exception):
    """The root of the tree; `str()` is a message for operators and clients."""

    @property
    def public(self) -> str:
        """What clients may read: the message, if it names nothing that concerns operators only."""
        return str(self)

    def copy(self) -> Self:
        """Return a copy without the traceback, which would keep local variables in memory."""
        copied = type(self).__new__(type(self))
        copied.args = self.args
        copied.__dict__.update(self.__dict__)
        return copied
