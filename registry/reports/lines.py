"""Lines of text that reports have for people."""


class Verbatim(str):
    """A line that people copy, such as a path: it is not broken between words."""

    __slots__ = ()
