"""Lines of text for people: on a terminal they are broken between words, and commands are not."""

import os
import re
import sys
from textwrap import wrap
from typing import TextIO

import typer

_LEAST = 20  # columns: a narrower terminal breaks lines itself; names of facts are shorter
_COMMAND = re.compile(r"(.*): ((?:entrepot|openssl) [^;]*)", re.DOTALL)  # a command at the end
_QUOTED = re.compile(r"`[^`]*`")
_KEPT = "\0"  # instead of a blank in a line that is broken: no text has it


def print_line(text: str, *, err: bool = False) -> None:
    """Print lines; on a terminal they are broken between words. `err` prints to stderr."""
    typer.echo(break_lines(text, find_width(sys.stderr if err else sys.stdout)), err=err)


def find_width(stream: TextIO) -> int:
    """Return how many columns a terminal has; 0 if the stream is no terminal."""
    if not stream.isatty():
        return 0
    named = os.environ.get("COLUMNS", "")
    try:
        return int(named) if named.isdecimal() else os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return 0


def break_lines(text: str, width: int) -> str:
    """Return a text for a terminal of `width` columns; 0 means any number. Pure.

    A command at the end gets a line of its own. It is not broken, so that it can be copied; words,
    commands in backticks and a fact that follows its name (`digest  sha256:...`) are not broken
    either.
    """
    return "\n".join(part for line in text.split("\n") for part in _break(line, width))


def _break(text: str, width: int) -> list[str]:
    words = text.split()
    is_fact = len(words) == 2 and len(words[0]) < _LEAST and not words[0].endswith(":")
    if width < _LEAST or len(text) <= width or len(words) < 2 or is_fact:
        return [text]
    below = " " * (len(text) - len(text.lstrip()) + 2)
    # After a command with a semicolon, a sentence goes on, or it is a list of programs.
    found = _COMMAND.fullmatch(text)
    sentence, own_line = (f"{found[1]}:", [f"{below}{found[2]}"]) if found else (text, [])
    kept = _QUOTED.sub(lambda quoted: quoted[0].replace(" ", _KEPT), sentence)
    return [line.replace(_KEPT, " ") for line in wrap_words(kept, width, below)] + own_line


def wrap_words(text: str, width: int, indent: str) -> list[str]:
    """Return the lines of a text that is broken between words; those after the first are indented.

    Words that are longer than `width` are not broken, so that they can be copied. Pure.
    """
    return wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
