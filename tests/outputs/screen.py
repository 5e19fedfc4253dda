"""What stays on a terminal after a program has written to it: lines, without colours."""

import re
from collections.abc import Iterator

# A control sequence, a control character, or text between them (ECMA-48, 5.4).
_PIECE = re.compile(r"\x1b\[([0-9;?]*)([@-~])|([\r\n\b])|\x1b.|([^\x1b\r\n\b]+)")


class Screen:
    """Lines of text that a cursor writes to: bars that are drawn and erased leave nothing."""

    def __init__(self) -> None:
        self._lines = [""]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        """Write what a program sent to the terminal."""
        for parameters, order, control, plain in _split(text):
            if plain:
                self._put(plain)
            elif control:
                self._control(control)
            elif order:
                self._order(order, int(parameters) if parameters.isdigit() else 0)

    def read(self) -> str:
        """Return the lines without blanks at their ends, and without empty lines at the end."""
        return "\n".join(line.rstrip() for line in self._lines).rstrip("\n")

    def _put(self, text: str) -> None:
        line = self._lines[self._row].ljust(self._column)
        end = self._column + len(text)
        self._lines[self._row] = line[: self._column] + text + line[end:]
        self._column = end

    def _control(self, control: str) -> None:
        if control == "\n":
            self._row += 1
            if self._row == len(self._lines):
                self._lines.append("")
        if control in "\r\n":  # the terminal of a program adds \r to each \n
            self._column = 0

    def _order(self, order: str, count: int) -> None:
        if order == "A":
            self._row = max(0, self._row - (count or 1))
        elif order == "K":  # 0 erases to the end of the line, 2 the whole line
            kept = 0 if count == 2 else self._column
            self._lines[self._row] = self._lines[self._row][:kept]


def _split(text: str) -> Iterator[tuple[str, str, str, str]]:
    for found in _PIECE.finditer(text):
        yield found[1] or "", found[2] or "", found[3] or "", found[4] or ""
