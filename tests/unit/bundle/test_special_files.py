"""Files that are no files: pipes, devices and sockets are refused at once, never waited for."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from registry.bundle.format.signature import load_keys, sign
from registry.bundle.format.tar import BLOCK
from registry.bundle.read.open import load_inventory, load_lock, open_paths
from registry.cli.images.sources import Sources, read_files
from registry.errors import (
    BundleInvalid,
    FileUnreadable,
    InvalidInput,
    KeyInvalid,
    SettingsError,
)
from registry.settings.loading import load_settings

PATIENCE = 20.0  # seconds; to wait for a pipe would take for ever


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("name", ["entrepot-wheels-0.1.0-x.tar", "entrepot-image-0.1.0.tar"])
def test_an_install_archive_is_named(tmp_path: Path, name: str) -> None:
    """It lies on the same disk; the message says what it is, not which byte is wrong."""
    (tmp_path / name).write_bytes(b"x")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(BundleInvalid, match="it installs Entrep"), open_paths([path]):
            pass


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


def read_list(path: Path) -> None:
    read_files(Sources(files=[str(path)]))


def read_variables(path: Path) -> None:
    compose = path.with_name("compose.yaml")
    compose.write_text("services: {a: {image: redis}}")
    read_files(Sources(files=[str(compose)], env_file=path))


def sign_with(path: Path) -> None:
    sign(b"", path)


def read_settings(path: Path) -> None:
    load_settings(path, {})


def read_password(path: Path) -> None:
    config = path.with_name("entrepot.toml")
    config.write_text(f'[upstreams."docker.io"]\nusername = "a"\npassword_file = "{path}"\n')
    load_settings(config, {})


OTHERS = (read_list, read_variables, sign_with, read_settings, read_password)


@pytest.mark.parametrize("read", [*OTHERS, lambda path: load_keys([path])])
def test_no_other_file_is_read_without_end(special: Path, read: Callable[[Path], object]) -> None:
    """Lists, variables, keys, settings and passwords are read from files only; /dev/null is one."""
    if special == Path("/dev/null"):
        with suppress(KeyInvalid, SettingsError):
            run_in_time(lambda: read(special))
        return
    with pytest.raises(
        (FileUnreadable, SettingsError), match=r"it is a (named pipe|socket|terminal)"
    ):
        run_in_time(lambda: read(special))


@pytest.mark.parametrize("read", [*OTHERS, lambda path: load_keys([path])])
def test_a_file_without_end_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """Of a very large file, only as much is read as may be right."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises((InvalidInput, SettingsError), match=r"more than|is empty or not a secret"):
        run_in_time(lambda: read(path))


def test_a_list_from_stdin_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that writes names without end is not read to its end."""
    with Path("/dev/zero").open() as zero:
        monkeypatch.setattr("sys.stdin", zero)
        with pytest.raises(InvalidInput, match="more than 32 MiB"):
            run_in_time(lambda: read_list(Path("-")))


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
        with pytest.raises(BundleInvalid, match=r"it is not a bundle \(it is not a tar file\)"):
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
