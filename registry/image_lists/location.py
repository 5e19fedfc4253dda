"""Places in the files that are read: a file and a line."""

from dataclasses import dataclass
from pathlib import PurePath

from registry.errors import ListInvalid, ValueUnknown

MAX_LINES = 100_000
RENDER_FIRST = "render the template first: helm template ... | entrepot ..."


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a source, counted from 1; 0 means the source as a whole."""

    source: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source

    def without_folder(self) -> "Location":
        """Return the location with the name of the file, without its folder."""
        return Location(PurePath(self.source).name, self.line)

    def refuse(self, why: str, cure: str) -> ListInvalid:
        """Return an error about this location; `why` is the reason, `cure` says what to do."""
        return ListInvalid(self.source, self.line, make_printable(why), make_printable(cure))

    def refuse_unknown(self, why: str, cure: str) -> ValueUnknown:
        """Return an error about an image here that depends on a value which is not known."""
        return ValueUnknown(self.source, self.line, make_printable(why), make_printable(cure))

    def place(self, user: str) -> str:
        """Return the location with the `user` of an image, such as `a.yaml:14 service web`."""
        return f"{self} {make_printable(user)}".rstrip()


def split_lines(text: str, source: str) -> list[str]:
    """Return the lines as an editor counts them; all kinds of line ends are accepted.

    Raises:
        ListInvalid: more than 100,000 lines.
    """
    # Not `splitlines`, which also splits at form feeds and at other separators of Unicode.
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise Location(source, 0).refuse(f"more than {MAX_LINES} lines", "give it in parts")
    return lines


def make_printable(text: str) -> str:
    """Replace characters that would move the cursor of a terminal, or end a line."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
