"""The process that shows a server's log on a terminal (decision record 0023).

It imports what it shows the log with after it was forked: the server itself needs none of that.
"""

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from registry.errors.masking import print_crash
from registry.logs import STDERR, configure_logs

if TYPE_CHECKING:
    from registry.cli.screen import Banner

MOST_LINES = 10_000  # lines of the log that wait while the terminal accepts no text
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the server decides what these mean


@contextmanager
def open_screen(banner: "Banner") -> Iterator[bool]:
    """Set up the log of a server; on a terminal, show it there until the `with` block ends.

    Yields whether a person looks at it: stdout and stderr are terminals. Open it before any thread
    is started, because it forks the process that shows the log.
    """
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        configure_logs()
        yield False
        return
    sys.stderr.flush()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(write)
        _show_and_exit(read, banner)
    os.close(read)
    terminal = os.dup(STDERR)
    os.dup2(write, STDERR)
    os.close(write)
    try:
        configure_logs(logging.DEBUG)
        yield True
    finally:
        sys.stderr.flush()
        os.dup2(terminal, STDERR)
        os.close(terminal)
        with suppress(ChildProcessError):  # the supervisor has taken its end already
            os.waitpid(pid, 0)


def _show_and_exit(read: int, banner: "Banner") -> NoReturn:
    """Show the log until its end. This process never goes on as a second server."""
    try:
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        # Not in the server itself: rich takes 4 MiB of memory there.
        from registry.cli.screen import Screen, make_console  # noqa: PLC0415

        Screen(make_console(), banner).run(_read_lines(read))
    except OSError:  # the terminal is gone
        pass
    except BaseException:  # noqa: BLE001 - the last place before _exit: nothing is re-raised
        print_crash(*sys.exc_info())
    finally:
        os._exit(0)


def _read_lines(descriptor: int) -> "queue.Queue[bytes | None]":
    """Return the lines of a pipe as they come, and None at its end.

    A thread reads them, so that the server never waits for a terminal that accepts no text, for
    example after Ctrl-S. If it does not accept any for too long, lines are lost.
    """
    lines: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        with open(descriptor, "rb") as pipe:
            for line in pipe:
                if lines.qsize() < MOST_LINES:
                    lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines
