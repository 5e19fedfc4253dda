"""The journeys: each yields the calls of one run after the other, for as long as it is asked.

Everything is warmed up before a run: imports, the connection to the upstream, its token, and the
same journey with other content. Readers keep their connections, so accepting one does not count.
"""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from tests.harness.commands import run_command
from tests.harness.deadline import await_truth
from tests.journeys.recording import Recording
from tests.journeys.site import (
    REPOSITORY,
    Reader,
    Site,
    find_blob,
    open_readers,
    open_site,
    trace_command,
)
from tests.journeys.tracer import Call

SIZE = 3_000_000  # bytes of a blob that is pulled
LAYER = 1_000_000  # bytes of each of the four layers that are imported
SHORT = 0.05  # seconds without a call after which an answer is over that leaves nothing to do
VOLUME = "1100KB"  # four volumes for these, with parts of cut blobs in them
NEWS = 0.05  # seconds without a new kind of call after which three readers wait for bytes

Runs = Generator[list[Call], None, None]


@dataclass(frozen=True)
class Journey:
    """A journey by its name on the command line and its title in the table."""

    name: str
    title: str
    run: Callable[[Path], Runs]


def pull_tag(folder: Path, pause: float = SHORT) -> Runs:
    """A manifest by a tag that is known and fresh, by a request that is new to the mirror.

    With a `pause` after the pull before: by then that pull has been written to the catalog.
    """
    with open_site(folder, 1) as site, Reader(site) as reader:
        site.add_blob(1000, 1)
        for turn in count(1):
            reader.get_tag(1, f"warm {turn}")
            site.settle(pause)
            yield site.trace(partial(_pull_new, reader, turn))


def _pull_new(reader: Reader, turn: int, _: int) -> None:
    reader.get_tag(1, f"new {turn}")


def _pull_blob(reader: Reader, digest: str, _: int) -> None:
    assert len(reader.get_blob(digest)) == SIZE


def repeat_tag(folder: Path) -> Runs:
    """The same manifest by a request whose bytes are those of one before."""
    with open_site(folder, 1) as site, Reader(site) as reader:
        site.add_blob(1000, 1)
        while True:
            for _ in range(2):
                reader.get_tag(1)
            site.settle(SHORT)
            yield site.trace(lambda _: reader.get_tag(1))


def pull_stored_blob(folder: Path) -> Runs:
    """A blob that is stored."""
    with open_site(folder, 1) as site, Reader(site) as reader:
        digest = _warm(site, reader, 1)
        while True:
            reader.get_blob(digest)
            site.settle(SHORT)
            yield site.trace(partial(_pull_blob, reader, digest))


def pull_cold_blob(folder: Path) -> Runs:
    """A blob that only the upstream has, its manifest known."""
    with open_site(folder, 1) as site, Reader(site) as reader:
        for turn in count(1):
            _warm(site, reader, 2 * turn)
            digest = _introduce(site, reader, 2 * turn + 1)
            site.settle()
            yield site.trace(partial(_pull_blob, reader, digest))


def share_cold_blob(folder: Path) -> Runs:
    """The same with three readers, of whom the first two are with one worker of two.

    The upstream answers when all three wait for it.
    """
    with open_site(folder, 2) as site, ExitStack() as stack:
        readers = open_readers(site, stack)
        for turn in count(1):
            _warm(site, readers[0], 3 * turn)
            _warm(site, readers[2], 3 * turn + 1)
            digest = _introduce(site, readers[0], 3 * turn + 2)
            readers[2].get_tag(3 * turn + 2)
            site.settle()
            yield site.trace(partial(_share, site, readers, digest))


def _share(site: Site, readers: tuple[Reader, ...], digest: str, number: int) -> None:
    first, *others = readers
    site.hub.hang()
    first.send(find_blob(digest))
    await_truth(lambda: site.hub.journal.of("blob", contains=digest))
    for reader in others:
        reader.send(find_blob(digest))
    site.recording.await_no_news(site.workers, number, NEWS)
    site.hub.unhang()
    with ThreadPoolExecutor(len(readers)) as pool:
        sizes = [len(body) for body in pool.map(Reader.receive, readers)]
    assert sizes == [SIZE] * len(readers)


def _introduce(site: Site, reader: Reader, seed: int) -> str:
    """Have a blob upstream and its manifest here."""
    digest = site.add_blob(SIZE, seed)
    reader.get_tag(seed)
    return digest


def _warm(site: Site, reader: Reader, seed: int) -> str:
    """Pull a blob that is not here, and wait until it is."""
    digest = _introduce(site, reader, seed)
    reader.get_blob(digest)
    site.settle()
    return digest


def run_import(folder: Path) -> Runs:
    """The command that imports two images with four layers, in four volumes.

    From its first line to its end, settings and printing too; the data folder is not a new one.
    """
    warm, volumes = _write_bundles(folder)
    recording = Recording(folder / "import-calls")
    for turn in count(1):
        config = folder / f"far-{turn}.toml"
        config.write_text(f'[storage]\npath = "{folder / f"far-{turn}"}"\n')
        command = ("bundle", "import", "--config", str(config))
        trace_command(recording, *command, *map(str, warm))
        yield trace_command(recording, *command, *map(str, volumes))


def import_volumes(folder: Path) -> Runs:
    """The same, less what the command does before and after its event loop runs."""
    for calls in run_import(folder):
        yield [call for call in calls if call.is_in_loop]


def _write_bundles(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write a bundle of another image, and the one whose import is counted."""
    with open_site(folder, 1) as site:
        site.add_blob(1000, 1)
        for seed in (2, 3):
            layers = [site.hub.add_big_blob(LAYER, seed=10 * seed + each) for each in (1, 2)]
            site.hub.add_image(REPOSITORY, str(seed), layers)
        images = [f"{REPOSITORY.removeprefix('library/')}:{seed}" for seed in (1, 2, 3)]
        config = ("--platform", "linux/amd64", "--config", str(site.mirror.config))
        _run("images", "warm", *images, *config)
        one, several = folder / "one", folder / "several"
        for each in (one, several):
            each.mkdir()
        _run("bundle", "create", "-o", f"{one}/", images[0], *config)
        cut = ("--volume-size", VOLUME)
        _run("bundle", "create", "-o", f"{several / 'v.tar'}", *cut, *images[1:], *config)
    volumes = sorted(several.glob("*.tar"))
    assert len(volumes) == 4, volumes
    return [one], volumes


def _run(*arguments: str) -> None:
    done = run_command(*arguments)
    assert done.returncode == 0, done.stderr + done.stdout


JOURNEYS = (
    Journey("tag", "tag hit, all the way", pull_tag),
    Journey(
        "tag-later", "tag hit, after the pull before was written down", partial(pull_tag, pause=1.5)
    ),
    Journey("tag-repeated", "tag hit, the answer repeated", repeat_tag),
    Journey("blob", "stored blob, 3 MB", pull_stored_blob),
    Journey("cold-blob", "cold blob of 3 MB, one reader", pull_cold_blob),
    Journey("cold-blob-shared", "cold blob of 3 MB, three readers, two processes", share_cold_blob),
    Journey("import", "import of four volumes", import_volumes),
    Journey("import-command", "the whole command of that import", run_import),
)
