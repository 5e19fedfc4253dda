"""The page of all outputs, in Markdown."""

import re
from collections.abc import Iterator, Sequence

from tests.outputs.runs import Output

_HEAD = """\
# What the commands print

Each command was run in a terminal of 80 columns. Most commands were then run once more, without a
terminal: if that output differs by more than the breaks of lines and the line that names the data
folder, it follows. It may also differ because of the first run, which has for example already
downloaded the image. Ports and process ids are replaced by words. This page is written by:

```sh
.venv/bin/python -m tests.outputs
```
"""
_NAMED = "entrepot: data folder "


def draw(record: Sequence[tuple[str, Sequence[Output]]]) -> str:
    """Return the page; `record` has the outputs by the titles of their sections."""
    return "\n".join([_HEAD, *(line for title, each in record for line in _draw(title, each))])


def _draw(title: str, outputs: Sequence[Output]) -> Iterator[str]:
    yield f"## {title}\n"
    for output in outputs:
        yield from _show(f"$ entrepot {output.command}", output.on_terminal, output.code)
        named, _, rest = output.on_terminal.partition("\n")
        same = [output.on_terminal, *([rest] if named.startswith(_NAMED) else [])]
        is_same = output.elsewhere.split() in [each.split() for each in same]
        if output.code_elsewhere != output.code or not is_same:
            yield "Once more, without a terminal:\n"
            yield from _show("", output.elsewhere, output.code_elsewhere)


def _show(first: str, text: str, code: int) -> Iterator[str]:
    yield "```text"
    yield from filter(None, (first.rstrip(), text))
    yield f"[exit {code}]"
    yield "```\n"


def read_outputs(page: str, title: str) -> dict[str, str]:
    """Return what each command of a section printed in a terminal, without its exit code."""
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    shown = re.findall(
        r"^```text\n\$ entrepot ?(.*)\n((?:.*\n)*?)\[exit \d+\]\n", section, re.MULTILINE
    )
    return {command: text.rstrip("\n") for command, text in shown}
