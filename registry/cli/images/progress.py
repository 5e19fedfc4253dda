"""What is being fetched, while it is: bars on a terminal, nothing anywhere else."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from registry.cli.terminal import list_columns
from registry.oci.manifest import Descriptor

WIDTH = 16  # characters of an image's name beside a bar
LOOK = 0.2  # seconds between two looks at what has landed


class ProgressBars:
    """Bars for the blobs under way and for all together; it is a `PrefetchListener` of warming.

    A blob that several images need is one bar, and counts once.
    """

    def __init__(self, measure: Callable[[Descriptor], int]) -> None:
        self._measure = measure
        self._console = Console(stderr=True)
        self._progress = Progress(
            *list_columns(),
            expand=True,
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
            # What goes to a file or a pipe must not turn up on the terminal instead: see `tell`.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._all = self._progress.add_task("all", total=0)
        self._expected: dict[Descriptor, int] = {}
        self._images: dict[Descriptor, str] = {}  # the first that needs it
        self._bars: dict[Descriptor, TaskID] = {}
        self._begun: dict[Descriptor, int] = {}
        self._landed: set[Descriptor] = set()

    @property
    def fetched(self) -> int:
        """The bytes of the blobs that came, each counted once."""
        return sum(blob.size for blob in self._landed)

    def expect(self, image: str, blobs: Iterable[Descriptor]) -> None:
        """See `PrefetchListener`."""
        for blob in blobs:
            self._expected[blob] = blob.size
            self._images.setdefault(blob, image)

    def begin(self, blob: Descriptor) -> None:
        """See `PrefetchListener`."""
        self._begun[blob] = self._begun.get(blob, 0) + 1
        if blob not in self._bars:
            # The end of a name says most, and a line has room for no more.
            image = self._images.get(blob, "").rpartition("/")[2][:WIDTH]
            name = f"  {image} {blob.digest.encoded[:12]}"
            self._bars[blob] = self._progress.add_task(name, total=blob.size)

    def end(self, blob: Descriptor, *, is_whole: bool) -> None:
        """See `PrefetchListener`."""
        if is_whole:
            self._landed.add(blob)
        self._begun[blob] -= 1
        if not self._begun[blob] and blob in self._bars:
            self._progress.remove_task(self._bars.pop(blob))

    def tell(self, line: str, *, err: bool) -> None:
        """Print a line, above the bars where it goes to the same terminal as they do."""
        if self._console.is_terminal and (err or sys.stdout.isatty()):
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(line, err=err)

    @asynccontextmanager
    async def show(self) -> AsyncIterator[None]:
        """Show the bars until leaving, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._progress:
            looking = asyncio.create_task(self._look())
            try:
                yield
            finally:
                looking.cancel()

    async def _look(self) -> None:
        while True:
            arriving = {blob: self._measure(blob) for blob in self._bars}
            for blob, landed in arriving.items():
                self._progress.update(self._bars[blob], completed=landed)
            landed = self.fetched + sum(arriving.values())
            self._progress.update(self._all, completed=landed, total=sum(self._expected.values()))
            await asyncio.sleep(LOOK)
