"""Bars that show blobs while they are downloaded, on a terminal only."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from rich.console import Console
from rich.progress import TaskID

from registry.cli.lines import break_lines, print_line
from registry.cli.terminal import Bars
from registry.oci.manifest import Descriptor

WIDTH = 16  # characters of the image's name before a bar
INTERVAL = 0.2  # seconds between two updates of the bars


class ProgressBars:
    """Bars for the blobs that are being downloaded, and one for all of them together.

    It is the `PrefetchListener` of the command. A blob that several images need has one bar, and
    its bytes count once.
    """

    def __init__(self, measure: Callable[[Descriptor], int], *, quiet: bool = False) -> None:
        """`measure` returns how many bytes of a blob have arrived; `quiet` shows no bars."""
        self._measure = measure
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._progress = Bars(
            self._console,
            disable=not self._console.is_terminal,
            # Output to a file or a pipe must not appear on the terminal: see `print_line`.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        # Nothing may be missing: then there is no bar.
        self._all = self._progress.add_task("all", total=0, visible=False)
        self._expected: dict[Descriptor, int] = {}
        self._images: dict[Descriptor, str] = {}  # for each blob, the first image that needs it
        self._bars: dict[Descriptor, TaskID] = {}
        self._running: dict[Descriptor, int] = {}  # how many images are waiting for the blob
        self._complete: set[Descriptor] = set()

    @property
    def fetched(self) -> int:
        """The bytes of the blobs that were downloaded, each counted once."""
        return sum(blob.size for blob in self._complete)

    def expect(self, image: str, blobs: Iterable[Descriptor]) -> None:
        """See `PrefetchListener`."""
        for blob in blobs:
            self._expected[blob] = blob.size
            self._images.setdefault(blob, image)

    def begin(self, blob: Descriptor) -> None:
        """See `PrefetchListener`."""
        self._running[blob] = self._running.get(blob, 0) + 1
        if blob not in self._bars:
            # There is space for the end of a name only, which says most.
            image = self._images.get(blob, "").rpartition("/")[2][:WIDTH]
            name = f"  {image} {blob.digest.encoded[:12]}"
            self._bars[blob] = self._progress.add_task(name, total=blob.size)

    def end(self, blob: Descriptor, *, is_whole: bool) -> None:
        """See `PrefetchListener`."""
        if is_whole:
            self._complete.add(blob)
        self._running[blob] -= 1
        if not self._running[blob] and blob in self._bars:
            self._progress.remove_task(self._bars.pop(blob))

    def print_line(self, line: str, *, err: bool) -> None:
        """Print a line; on the terminal that shows the bars, print it above them."""
        if self._quiet:
            return
        if self._console.is_terminal and (err or sys.stdout.isatty()):
            line = break_lines(line, self._console.width)
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print_line(line, err=err)

    @asynccontextmanager
    async def show(self) -> AsyncIterator[None]:
        """Show the bars until the block ends, if stderr is a terminal."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        with self._progress:
            updates = asyncio.create_task(self._update())
            try:
                yield
            finally:
                updates.cancel()

    async def _update(self) -> None:
        while True:
            sizes = {blob: self._measure(blob) for blob in self._bars}
            for blob, written in sizes.items():
                self._progress.update(self._bars[blob], completed=written)
            written = self.fetched + sum(sizes.values())
            total = sum(self._expected.values())
            is_any = bool(total)
            self._progress.update(self._all, completed=written, total=total, visible=is_any)
            await asyncio.sleep(INTERVAL)
