"""The report of `entrepot top` as lines of text. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from registry.cli.lines import break_lines, wrap_words
from registry.cli.status_text import FULL, draw_saved, draw_upstreams, label
from registry.cli.terminal import format_bytes, format_count
from registry.reports.console.downloads import DownloadReport
from registry.reports.lines import Verbatim
from registry.reports.space import SpaceReport
from registry.reports.top import ProcessReport, Top

BAR = 16  # columns of a bar, without its ends
_HEAD = f"{'DOWNLOAD':<{BAR + 5}}{'RECEIVED':>22}{'SPEED':>13}{'TIME LEFT':>12}{'CLIENTS':>10}"
_INDENT = " " * 11  # below a label of the status


def draw_top(top: Top, *, width: int, height: int | None = None) -> Iterator[str]:
    """Yield lines of at most `width` columns, unless one is a name or an address alone.

    With `height`, downloads that do not fit below the other lines are only counted.
    """
    above = [Verbatim(line) for text in _draw_above(top) for line in _fold(text, width)]
    yield from above
    yield ""
    if not top.downloads:
        yield "Nothing is being downloaded."
        return
    yield Verbatim(_HEAD)
    blocks = [_draw_download(each, width) for each in top.downloads]
    shown = len(blocks) if height is None else _count_fitting(blocks, height - len(above) - 2)
    for block in blocks[:shown]:
        yield from map(Verbatim, block)
    if shown < len(blocks):
        yield f"and {format_count(len(blocks) - shown, 'more download')}"


def _draw_above(top: Top) -> Iterator[str]:
    status = top.status
    yield from ["All is well."] if status.well else (each.sentence for each in status.problems)
    yield from label("now", [_format_now(top)])
    yield from label("saved", draw_saved(status.traffic, only_today=True))
    yield from label("space", [_format_space(status.space)])
    yield from label("upstreams", draw_upstreams(status))
    yield from label("processes", list(_draw_processes(top)))


def _fold(text: str, width: int) -> list[str]:
    """Return the lines of a text; those after the first begin below its facts."""
    if not text.startswith((" ", "now ", "saved ", "space ", "upstreams ", "processes ")):
        return break_lines(text, width).split("\n")
    return wrap_words(text, width, f"{_INDENT}  ")


def _format_now(top: Top) -> str:
    clients = format_count(top.status.clients, "client")
    rates = f"{_format_rate(top.sent_rate)} sent, {_format_rate(top.fetched_rate)} fetched"
    return f"{rates}, {clients} in the last hour"


def _format_rate(rate: float | None) -> str:
    return "-" if rate is None else f"{format_bytes(int(rate))}/s"


def _format_space(space: SpaceReport) -> str:
    used = f"{format_bytes(space.used)} of {format_bytes(space.limit)} used"
    text = f"{_draw_bar(space.used, space.limit)} {used}, {format_bytes(space.free)} free on disk"
    return f"{text}, nearly full" if space.used >= FULL * space.limit else text


def _draw_bar(part: int, whole: int) -> str:
    filled = min(BAR, part * BAR // whole) if whole else 0
    return f"[{'#' * filled}{'-' * (BAR - filled)}]"


def _draw_processes(top: Top) -> Iterator[str]:
    consoles = {each.console for each in top.processes}
    for each in top.processes:
        where = f" of {each.console}" if len(consoles) > 1 else ""
        yield f"{each.process + where:<12}{_format_use(each)}"
    if not top.processes:
        yield "not known" if top.status.running else "none"


def _format_use(process: ProcessReport) -> str:
    memory = f"{format_bytes(process.memory):>9} of memory"
    if process.open_files is None:
        return memory
    return f"{memory}, {process.open_files} files and sockets"


def _draw_download(download: DownloadReport, width: int) -> list[str]:
    name = download.repository or "import"
    title = f"{name} {download.digest.partition(':')[2][:12]}"
    if download.endpoint:
        title += f" from {download.endpoint}"
    received = format_bytes(download.arrived)
    if download.expected:
        bar = _draw_bar(download.arrived, download.expected)
        received += f" of {format_bytes(download.expected)}"
    else:
        bar = " " * (BAR + 2)  # its size is not known
    left = download.seconds_left
    time = "-" if left is None else str(timedelta(seconds=int(left)))
    speed = _format_rate(download.rate)
    return [
        *wrap_words(title, width, "  "),
        f"  {bar} {received:>22}{speed:>13}{time:>12}{download.clients:>10}",
    ]


def _count_fitting(blocks: list[list[str]], height: int) -> int:
    """Return how many blocks fit into `height` lines, of which the last one may count the rest."""
    lines = 0
    for number, block in enumerate(blocks):
        lines += len(block)
        is_last = number == len(blocks) - 1
        if lines + (not is_last) > height:
            return number
    return len(blocks)
