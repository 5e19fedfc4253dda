"""Secrets in texts that this program has not written itself, such as messages of libraries.

Passwords and tokens are kept out of our own messages where these are made. What a library says when
it fails may quote a header or a URL, and Python prints that when the program crashes.
"""

import re
import resource
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType

MASK = "********"
# No quotation mark and no backslash: the texts may be JSON, where line breaks are written so.
_TEXT = r"""[^\s"'\\<>]"""
_PATTERNS = (
    # Credentials of RFC 7235; words such as "Basic authentication" have no digits or capitals.
    (
        re.compile(rf"\b(Basic|Bearer) (?={_TEXT}*[0-9A-Z])[\w.~+/-]{{8,}}=*", re.ASCII),
        rf"\1 {MASK}",
    ),
    (re.compile(r"\b(ent_|ens1\.)[\w.-]{8,}", re.ASCII), rf"\1{MASK}"),  # tokens of a mirror
    (re.compile(rf"(://[^\s\"'\\/@:]*):{_TEXT}*@"), rf"\1:{MASK}@"),  # a password in a URL
    (re.compile(r"(Executing <\w+ ).*(> took )"), rf"\1{MASK}\2"),  # asyncio: with arguments
    # The query of a URL: a content host signs it, and whoever has it can download.
    (re.compile(rf"(://[^\s\"'\\?]+\?){_TEXT}+"), rf"\1{MASK}"),
)


def mask_secrets(text: str) -> str:
    """Return a text with asterisks in place of what looks like a secret."""
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def mask_crashes() -> None:
    """Let this process, and those that it forks, crash without leaving what looks like a secret.

    Python prints no values of variables, but the messages of exceptions. A core dump would have
    all memory; the hard limit of 0 lets nobody ask for one later.
    """
    with suppress(OSError, ValueError):  # the sandbox of the process forbids it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.excepthook = print_crash
    threading.excepthook = _print_end_of_thread
    sys.unraisablehook = _print_unraisable


def print_crash(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Print an exception on stderr as Python does, with asterisks in place of secrets."""
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(mask_secrets(text))


def _print_end_of_thread(ended: "threading.ExceptHookArgs") -> None:
    if ended.exc_type is not SystemExit:
        print_crash(ended.exc_type, ended.exc_value, ended.exc_traceback)


def _print_unraisable(found: "sys.UnraisableHookArgs") -> None:
    sys.stderr.write(mask_secrets(f"{found.err_msg or 'Exception ignored in'}: {found.object!r}\n"))
    print_crash(found.exc_type, found.exc_value, found.exc_traceback)
