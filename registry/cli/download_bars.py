"""Bars for the blobs that a server is downloading, below the other lines of a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress, TaskID

from registry.cli.terminal import Bars
from registry.content.usage import RunningDownload
from registry.oci.digest import Digest

MOST = 4  # bars; the downloads that have no bar share one
NAME = 16  # characters of the image's name before a bar


class DownloadBars:
    """Bars for running downloads; there are none while nothing is downloaded."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._former: set[Digest] = set()

    def show(self, downloads: Sequence[RunningDownload]) -> None:
        """Show these downloads, and remove the bars of others.

        A download gets a bar when it is shown for the second time: most are over before. A terminal
        that cannot move its cursor (`TERM=dumb`) shows nothing.
        """
        former, self._former = self._former, {each.digest for each in downloads}
        lasting = sorted(
            (each for each in downloads if each.digest in former),
            key=lambda each: (each.repository, each.digest),
        )
        if not lasting or self._console.is_dumb_terminal:
            self.stop()
            return
        if self._progress is None:
            self._progress = Bars(
                self._console,
                auto_refresh=False,  # otherwise it would start a thread
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._progress.start()
        self._update(self._progress, lasting)
        self._progress.refresh()

    def stop(self) -> None:
        """Remove all bars."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bars.clear()

    def _update(self, progress: Progress, downloads: Sequence[RunningDownload]) -> None:
        wanted: dict[str, tuple[int, int | None]] = {
            _format_name(each): (each.arrived, each.expected) for each in downloads[:MOST]
        }
        others = downloads[MOST:]
        if others:
            arrived = sum(each.arrived for each in others)
            wanted[f"  {len(others)} more"] = arrived, None
        for name in self._bars.keys() - wanted.keys():
            progress.remove_task(self._bars.pop(name))
        for name, (arrived, expected) in wanted.items():
            if name not in self._bars:
                self._bars[name] = progress.add_task(name, total=expected)
            progress.update(self._bars[name], completed=arrived, total=expected)


def _format_name(download: RunningDownload) -> str:
    # There is space for the end of a name only, which says most.
    image = download.repository.rpartition("/")[2][:NAME]
    return f"  {image} {download.digest.encoded[:12]}"
