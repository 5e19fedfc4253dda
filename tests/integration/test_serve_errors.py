"""`entrepot serve` that cannot: one line that says which key, why and what to write, and exit 2."""

import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.certificates import Authority, make_authority
from tests.harness.commands import run_command

Tree = list[tuple[str, int, int, bytes]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def busy() -> Iterator[str]:
    """An address that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    """Starts the mirror with these settings, which must fail; gives its one line."""

    def run(settings: str, data: Path | None = None, config: Path | None = None) -> str:
        path = config or tmp_path / "entrepot.toml"
        if config is None:
            storage = f'[storage]\npath = "{data or tmp_path / "data"}"\n'
            server = "" if "[server]" in settings else "[server]\n"
            ports = "".join(
                f'{key} = "127.0.0.1:0"\n'
                for key in ("listen", "console")
                if f"{key} =" not in settings
            )
            head, table, rest = (server + settings).partition("[server]\n")
            path.write_text(head + table + ports + rest + storage)
        done = run_command("serve", "--config", str(path))
        assert done.returncode == 2, done
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("entrepot: ")
        return line

    return run


def read_tree(folder: Path) -> Tree:
    """Every file with its mode, the time it was changed, and its bytes."""
    return sorted(
        (
            str(path.relative_to(folder)),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *folder.rglob("*")]
    )


def says(line: str, *words: str) -> bool:
    """Whether the line holds all of these."""
    missing = [word for word in words if word not in line]
    assert not missing, f"{missing} not in {line!r}"
    return True


@pytest.mark.parametrize("key", ["listen", "console"])
def test_a_port_in_use(refuse: Callable[..., str], busy: str, key: str) -> None:
    """The address that is taken is named, with the key that asked for it."""
    line = refuse(f'[server]\n{key} = "{busy}"\n')

    assert says(line, f"server.{key}", busy, "in use", "another address")


@pytest.mark.parametrize("key", ["listen", "console"])
def test_a_port_of_another_entrepot(
    refuse: Callable[..., str], make_mirror: MirrorMaker, key: str
) -> None:
    """The message names its process, its data folder, and how to stop it."""
    other = make_mirror(workers=1)
    address = (other.url if key == "listen" else other.console).removeprefix("http://")

    line = refuse(f'[server]\n{key} = "{address}"\n')

    assert says(line, f"server.{key}", "in use by another Entrepôt", f"process {other.pid}")
    assert says(line, f"data folder {other.data}", f"`kill {other.pid}`", "another address")


def test_all_taken_ports_are_named_at_once(
    refuse: Callable[..., str], make_mirror: MirrorMaker
) -> None:
    """As with a second `make run`: who corrects one address would next be told about the other."""
    other = make_mirror(workers=1)
    console = other.console.removeprefix("http://")

    line = refuse(f'[server]\nlisten = "{other.host}"\nconsole = "{console}"\n')

    assert says(line, f"server.listen: cannot listen on {other.host}")
    assert says(line, f"server.console: cannot listen on {console}")
    assert line.count(f"`kill {other.pid}`") == 1
    assert says(line, "set ENTREPOT_SERVER__LISTEN and ENTREPOT_SERVER__CONSOLE")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_of_another_program(refuse: Callable[..., str], busy: str, host: str) -> None:
    """The message names the program, also if it listens on another address of the port."""
    line = refuse(f'[server]\nlisten = "{host}:{busy.rpartition(":")[2]}"\n')

    program = Path("/proc/self/comm").read_text().strip()
    assert says(line, f"in use by {program}: process {os.getpid()}", "another address")
    assert "kill" not in line, "it may be sshd"


def test_listen_counts_more_than_the_file(busy: str, tmp_path: Path) -> None:
    """`--listen` is in place of server.listen, and is checked as it is."""
    config = tmp_path / "entrepot.toml"
    server = '[server]\nlisten = "127.0.0.1:0"\nconsole = "127.0.0.1:5999"\n'
    config.write_text(f'{server}[storage]\npath = "{tmp_path / "data"}"\n')
    given = ("serve", "--config", str(config), "--listen")

    taken, clash, wrong = (run_command(*given, each) for each in (busy, "127.0.0.1:5999", "5000"))

    assert (taken.returncode, clash.returncode, wrong.returncode) == (2, 2, 2)
    assert says(taken.stderr, "server.listen", busy, "in use")
    assert says(clash.stderr, "server.console", "127.0.0.1:5999", "another port")
    assert says(wrong.stderr, "--listen", "127.0.0.1:5000")


def test_an_address_of_another_machine(refuse: Callable[..., str]) -> None:
    """An address that is not ours cannot be listened on."""
    line = refuse('[server]\nlisten = "192.0.2.1:5000"\n')

    assert says(line, "server.listen", "192.0.2.1:5000", "cannot listen")


@pytest.mark.parametrize(
    ("place", "why"),
    [("file", "Not a directory"), ("file/below", "Not a directory"), ("/sys/entrepot", "")],
)
def test_a_data_folder_that_cannot_be_used(
    refuse: Callable[..., str], tmp_path: Path, place: str, why: str
) -> None:
    """What stands in the way of the data folder is named, with the key to change."""
    (tmp_path / "file").write_text("not a folder")

    line = refuse("", data=tmp_path / place)

    assert says(line, "storage.path", str(tmp_path / place), why)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_data_folder_of_a_newer_version(refuse: Callable[..., str], tmp_path: Path) -> None:
    """A newer layout is refused, and nothing in the folder is touched."""
    data = tmp_path / "data"
    (data / "blobs").mkdir(parents=True)
    (data / "LAYOUT").write_text("99\n")
    (data / "catalog.db").write_bytes(b"of the future")
    before = read_tree(data)

    line = refuse("", data=data)

    assert says(line, str(data), "newer", "99", "storage.path")
    assert read_tree(data) == before


def test_a_catalog_of_a_newer_version(refuse: Callable[..., str], tmp_path: Path) -> None:
    """A catalog that a newer version migrated is refused, and stays byte for byte."""
    data = tmp_path / "data"
    for room in ("blobs", "spool", "tags", "locks"):
        (data / room).mkdir(parents=True)
    (data / "LAYOUT").write_text("1\n")
    catalog = sqlite3.connect(data / "catalog.db")
    catalog.execute("PRAGMA journal_mode = WAL")
    catalog.execute("CREATE TABLE future (x)")
    catalog.execute("PRAGMA user_version = 999")
    catalog.commit()
    catalog.close()
    before = (data / "catalog.db").read_bytes()

    line = refuse("", data=data)

    assert says(line, str(data / "catalog.db"), "newer", "999", "storage.path")
    assert (data / "catalog.db").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [("LAYOUT", b"hello", "not a number"), ("catalog.db", b"hello" * 1000, "no LAYOUT")],
)
def test_a_folder_that_is_something_else(
    refuse: Callable[..., str], tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    """A folder whose files are not ours is not taken over."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(content)

    line = refuse("")

    assert says(line, str(tmp_path / "data"), why)
    assert (tmp_path / "data" / name).read_bytes() == content


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unreadable_ca_file(
    refuse: Callable[..., str], tmp_path: Path, content: str | None
) -> None:
    """A `ca_file` that is absent or no PEM file is named with its upstream."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    line = refuse(f'[upstreams."corp.test"]\nca_file = "{path}"\n')

    assert says(line, 'upstreams."corp.test".ca_file', str(path), "PEM")


@pytest.mark.parametrize("wrong", ["absent", "garbage", "mismatch", "encrypted"])
def test_unusable_server_certificates(
    refuse: Callable[..., str], tmp_path: Path, authority: Authority, wrong: str
) -> None:
    """A certificate or key that cannot be used is said before anything listens."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(authority.certificate.read_bytes())
    key.write_bytes(authority.key.read_bytes())
    match wrong:
        case "absent":
            key.unlink()
        case "garbage":
            certificate.write_text("garbage")
        case "mismatch":
            certificate.write_bytes(authority.root.read_bytes())
        case "encrypted":
            command = ["openssl", "pkey", "-in", authority.key, "-aes256"]
            subprocess.run([*command, "-passout", "pass:x", "-out", key], check=True)

    line = refuse(f'[server]\ntls_cert = "{certificate}"\ntls_key = "{key}"\n')

    assert says(line, "server.tls_", "belong together" if wrong == "mismatch" else "PEM")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('[access]\nmode = "closed"\n', ["access.mode", "'open' or 'users'"]),
        (
            '[[access.rules]]\nwho = ["bob"]\nallow = ["nginx"]\n',
            ["access.rules", "nginx", "does not begin with a registry"],
        ),
        ('[[access.rules]]\nwho = ["bob"]\n', ["access.rules", "allow", "deny"]),
        ('[tags]\nfresh = "1s"\n', ["tags.fresh", "did you mean tags.fresh_for?"]),
        ('[upstreams."ghcr.io"]\nprxy = ""\n', ['upstreams."ghcr.io".prxy', "proxy"]),
        (
            '[upstreams."x.test"]\nusername = "ann"\npassword_file = "/nowhere/pw"\n',
            ['upstreams."x.test".password_file', "/nowhere/pw"],
        ),
        ("[tags\n", ["not TOML", "line"]),
    ],
)
def test_settings_that_cannot_be_used(
    refuse: Callable[..., str], settings: str, words: list[str]
) -> None:
    """A mistake in the file is answered with its key, the reason, and what to write instead."""
    assert says(refuse(settings), *words)


def test_a_missing_file(refuse: Callable[..., str], tmp_path: Path) -> None:
    """A configuration file that is named and absent is no reason to start with defaults."""
    line = refuse("", config=tmp_path / "absent.toml")

    assert says(line, "--config", "absent.toml", "existing")
