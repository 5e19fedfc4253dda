"""The page of all outputs, in Markdown."""

from collections.abc import Iterator, Sequence

from tests.outputs.runs import Output

_HEAD = """\
# What the commands print

Each command was run in a terminal of 80 columns. Where its output without a terminal differs, that
follows. Times, ports and speeds are replaced by words. This page is written by:

```sh
.venv/bin/python -m tests.outputs
```
"""


def draw(record: Sequence[tuple[str, Sequence[Output]]]) -> str:
    """Return the page; `record` has the outputs by the titles of their sections."""
    return "\n".join([_HEAD, *(line for title, each in record for line in _draw(title, each))])


def _draw(title: str, outputs: Sequence[Output]) -> Iterator[str]:
    yield f"## {title}\n"
    for output in outputs:
        yield from _show(f"$ entrepot {output.command}", output.on_terminal, output.code)
        if output.elsewhere != output.on_terminal:
            yield "Without a terminal:\n"
            yield from _show("", output.elsewhere, output.code)


def _show(first: str, text: str, code: int) -> Iterator[str]:
    yield "```text"
    yield from filter(None, (first.rstrip(), text))
    yield f"[exit {code}]"
    yield "```\n"
