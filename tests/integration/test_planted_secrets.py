"""The search for secrets that each mirror of a test ends with: it finds what it has to find."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.leaks import ACCOUNTS, KEY, RECORDS, list_leaks
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import (
    MARK,
    UPSTREAM_PASSWORD,
    USER_PASSWORD,
    WRONG_PASSWORD,
    find_secrets,
)
from tests.integration.wire import send_raw

TOKEN = "ent_abcdefgh_" + "k7" * 16
LOGIN = base64.b64encode(f"alice:{USER_PASSWORD}".encode())
HASH = b"$2b$12$abcdefghijklmnopqrstuv"
PRIVATE_KEY = b"-----BEGIN EC PRIVATE KEY-----"
SIGNING_KEY = bytes(range(200, 232))
SECRETS = {
    "a password": UPSTREAM_PASSWORD.encode(),
    "the beginning of one": MARK.encode(),
    "a login": LOGIN,
    "a login of a longer name": base64.b64encode(f"robot1:{UPSTREAM_PASSWORD}".encode()),
    "in hexadecimal": WRONG_PASSWORD.encode().hex().encode(),
    "a token": TOKEN.encode(),
    "a signed token": b"ens1.eyJhIjoxfQ.c2ln",
    "a hash": HASH,
    "a private key": PRIVATE_KEY,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in which everything is as it should be."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / RECORDS).mkdir(mode=0o700)
    for name, content in {ACCOUNTS: HASH, KEY: SIGNING_KEY, "catalog.db": b"rows"}.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return folder


def look(data: Path, log: bytes = b"", page: bytes = b"") -> list[str]:
    (data.parent / "log").write_bytes(log)
    return list_leaks(data.parent / "log", data, {"/metrics": page}, is_own_folder=True)


def test_nothing_is_found_where_nothing_is(data: Path) -> None:
    """The stored hashes and the key itself are where they have to be."""
    assert look(data, b'{"event":"request","failure":"ent_********"}', b"entrepot_x 1") == []


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_leak_is_found_in_each_place(data: Path, secret: bytes) -> None:
    """The log, a page, a file and the name of one, each by its own line."""
    text = b'{"why":"' + secret + b'"}\n'
    (data / "catalog.db").write_bytes(text)
    (data / "tags").mkdir()
    (data / "tags" / secret.decode().replace("/", "_")).touch()

    found = look(data, text, text)

    assert len(found) == 4, found
    assert "in the log" in found[0]
    assert "the page /metrics" in found[1]
    assert f"in {data / 'catalog.db'}" in "".join(found)
    assert "a name in the data folder" in "".join(found)


@pytest.mark.parametrize("show", [bytes.hex, lambda key: base64.b64encode(key).decode()])
def test_the_signing_key_is_found(data: Path, show: Callable[[bytes], str]) -> None:
    """In the forms in which a program would print it."""
    (found,) = look(data, show(SIGNING_KEY).encode())

    assert found == "the key that signs tokens is in the log"


@pytest.mark.parametrize("name", [ACCOUNTS, KEY, RECORDS, "."])
def test_an_open_mode_is_found(data: Path, name: str) -> None:
    """Whoever belongs to the group of a file is another user, too."""
    (data / name).chmod(0o750)

    (found,) = look(data)

    assert found == f"other users can read {data / name}: its mode is 750"


def test_a_mirror_that_leaks_fails_its_test(make_mirror: MirrorMaker) -> None:
    """Its end raises, and names the place: here the log, where somebody's tag is a password."""
    mirror = make_mirror(workers=1)
    request = f"GET /v2/team/app/manifests/{MARK} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    send_raw(mirror.host, request.encode(), may_leak=True)

    with pytest.raises(AssertionError, match="a secret is in the log") as failure:
        mirror.stop()

    assert MARK in str(failure.value)


def test_the_fakes_plant_secrets(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """A token and a signed URL of an upstream have the mark in them, so that leaks are found."""
    image = hub.add_image("team/app", "1", [b"layer"])
    mirror = make_mirror(workers=1)
    pull(mirror, image.layers[0])

    sent = [entry.headers.get("Authorization", "") for entry in hub.journal]
    signed = [entry.query for entry in hub.journal.of("cdn")]

    assert any(find_secrets(each.encode()) for each in sent), hub.journal
    assert all(find_secrets(each.encode()) for each in signed), hub.journal
    assert signed


def pull(mirror: MirrorProcess, digest: str) -> None:
    request = f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert send_raw(mirror.host, request.encode()).endswith(b"layer")
