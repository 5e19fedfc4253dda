"""Files that are no files: pipes, devices and sockets are refused at once, never waited for."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from registry.bundle.format.tar import BLOCK
from registry.bundle.read.open import load_inventory, load_lock, open_paths
from registry.errors import BundleInvalid

PATIENCE = 20.0  # seconds; to wait for a pipe would take for ever


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    return path


def find_zero(_: Path) -> Path:
    return Path("/dev/zero")


def find_null(_: Path) -> Path:
    return Path("/dev/null")


def find_terminal(_: Path) -> Path:
    return Path("/dev/ptmx")


def link_to_zero(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


def link_to_pipe(path: Path) -> Path:
    path.symlink_to(make_pipe(path.with_name("pipe")))
    return path


SPECIAL = {
    each.__name__: each
    for each in (
        make_pipe,
        make_socket,
        find_zero,
        find_null,
        find_terminal,
        link_to_zero,
        link_to_pipe,
    )
}


@pytest.fixture(params=SPECIAL)
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make: Callable[[Path], Path] = SPECIAL[request.param]
    return make(tmp_path / "b.0001.tar")


def open_one(path: Path) -> None:
    with open_paths([path]):
        pass


def open_with_another(path: Path) -> None:
    with NamedTemporaryFile(suffix=".tar") as other:
        other.write(bytes(10 * BLOCK))
        other.flush()
        with open_paths([Path(other.name), path]):
            pass


@pytest.mark.parametrize("read", [open_one, open_with_another, load_lock, load_inventory])
def test_it_is_refused_at_once(special: Path, read: Callable[[Path], object]) -> None:
    """Every way to name a bundle, a lock or an inventory refuses it, and names it."""
    with pytest.raises(BundleInvalid, match=r"it is a (named pipe|socket|terminal or a device)"):
        run_in_time(lambda: read(special))


def test_it_is_passed_over_in_a_folder(tmp_path: Path) -> None:
    """A folder may have such a file in the place of a volume: it counts as missing."""
    (tmp_path / "a.tar").write_bytes(bytes(10 * BLOCK))
    make_pipe(tmp_path / "b.tar")
    with pytest.raises(BundleInvalid, match=r"not of a bundle: a\.tar, b\.tar"):
        run_in_time(lambda: open_one(tmp_path))


def run_in_time(work: Callable[[], object]) -> None:
    """Run `work` in a thread; its error is raised here."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it waits"
    for error in errors:
        raise error


@pytest.fixture
def endless() -> Iterator[Callable[[bytes], int]]:
    """Open a pipe without end, of which each block begins with these bytes."""
    ended, threads = threading.Event(), []

    def open_pipe(block: bytes) -> int:
        reading, writing = os.pipe()

        def write() -> None:
            while not ended.is_set():
                try:
                    os.write(writing, block.ljust(BLOCK, b"x") * 128 if block else bytes(65536))
                except BrokenPipeError:
                    break
            os.close(writing)

        threads.append(threading.Thread(target=write))
        threads[-1].start()
        return reading

    yield open_pipe
    ended.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("block", [b"", b"noise"])
def test_a_stream_without_end_is_not_read_without_end(
    endless: Callable[[bytes], int], block: bytes
) -> None:
    """Zeros are the end of an archive, and other bytes are skipped up to a limit."""
    reading = endless(block)
    try:
        with pytest.raises(BundleInvalid, match=r"it is not a bundle \(it is no tar file: "):
            run_in_time(lambda: open_one(Path(f"/dev/fd/{reading}")))
    finally:
        os.close(reading)


@pytest.mark.parametrize("words", ["- < /dev/zero", "/dev/stdin < /dev/zero", "- < /dev/null"])
def test_a_device_on_stdin_is_refused(words: str) -> None:
    """A redirection opens the device before the command starts."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m registry bundle verify {words}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "it is a terminal or a device" in done.stderr
