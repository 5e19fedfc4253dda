"""Errors of upstreams say what was refused, by whom, and which setting helps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.certificates import Authority, make_authority
from tests.fakes.proxies import HttpProxy, TlsFront
from tests.fakes.upstream import ROBOT, FakeUpstream, Fault, Image, Redirect, Status
from tests.harness.mirror import MirrorProcess
from tests.integration.faces import Faces, Row, each_row, open_faces, row
from tests.integration.wire import Answer, fetch

LAYER = b"elsewhere" * 1000
BARE = Status(401, b"{}", {"Content-Type": "application/json"})
STRANGE = Status(401, b"{}", {"WWW-Authenticate": "Negotiate"})


def refused(name: str, words: str, *faults: Fault, **switches: Any) -> Row:
    """A row with what the error has to say, and faults."""
    return row(name, expected=(words, faults), **switches)


REFUSALS = [
    refused(
        "token service 400",
        "the token service answers 400 to the scope 'repository:",
        token_status=400,
    ),
    refused("token service 401", "refuses anonymous clients (401)", token_status=401),
    refused("token service 403", "refuses anonymous clients (403)", token_status=403),
    refused(
        "anonymous 403",
        "refuses access to anonymous clients (403)",
        Fault("manifest", Status(403), times=None),
    ),
    refused(
        "anonymous 403 without a login",
        "anonymous clients (403)",
        Fault("manifest", Status(403), times=None),
        auth="none",
    ),
    refused("bare 401 everywhere", "neither here nor at /v2/", Fault("any", BARE, times=None)),
    refused(
        "bare 401 of manifests",
        "neither here nor at /v2/",
        Fault("manifest", BARE, times=None),
        auth="none",
    ),
    refused(
        "login of an unknown kind", "not supported: negotiate", Fault("any", STRANGE, times=None)
    ),
    refused(
        "password without a user name",
        "set username and password_file",
        auth="basic",
        private={"team/refused": ROBOT},
    ),
    refused(
        "token that opens nothing",
        "refuses access to anonymous clients (401)",
        private={"team/refused": ROBOT},
    ),
]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faces]:
    with open_faces(tmp_path_factory.mktemp("refusals"), REFUSALS) as opened:
        yield opened


@each_row(REFUSALS)
def test_error_says_what_was_refused(faces: Faces, row: Row) -> None:
    """The client gets "not found", and the log says which of the many reasons it is."""
    words, faults = row.expected  # type: ignore[misc]
    with faces.play(row) as registry:
        faces.hub.add_image("team/refused", "1", [b"refused"])
        for fault in faults:
            fault.applied = 0
            faces.hub.faults.add(fault)

        answer = fetch(f"{faces.mirror.url}/v2/{registry}/team/refused/manifests/1")

    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    faces.mirror.await_failure(words)
    assert faces.hub.host not in answer.message


@pytest.mark.parametrize(("auth", "words"), [("bearer", "login"), ("basic", "access")])
def test_wrong_password_names_the_user(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path, auth: Any, words: str
) -> None:
    """With a login, the log says whose it is; the client does not see it."""
    hub.add_image("team/private", "1", [b"private"])
    hub.auth, hub.require_user = auth, (ROBOT[0], "another")
    mirror = make_mirror(upstreams={"docker.io": log_in(tmp_path, hub)}, workers=1)

    answer = fetch(f"{mirror.url}/v2/team/private/manifests/1")

    assert answer.status == 404
    mirror.await_failure(f"'{ROBOT[0]}'")
    mirror.await_failure(words)
    mirror.await_failure("check username and password_file")
    assert ROBOT[0] not in answer.message
    assert ROBOT[1] not in answer.message + mirror.log()


def log_in(folder: Path, hub: FakeUpstream) -> dict[str, Any]:
    password = folder / "password"
    password.write_text(ROBOT[1])
    realm = hub.realm.split("/")[2]
    return {
        "endpoints": [hub.url],
        "username": ROBOT[0],
        "password_file": str(password),
        "auth_realms": [realm],
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), "registry.example")


@pytest.fixture
def plain() -> Iterator[FakeUpstream]:
    """A registry without tokens, which serves blobs itself, to stand behind TLS."""
    with FakeUpstream(auth="none") as upstream:
        upstream.redirect_blobs = False
        yield upstream


@pytest.fixture
def front(authority: Authority, plain: FakeUpstream) -> Iterator[TlsFront]:
    with TlsFront(authority.server_context(), port_of(plain.url)) as opened:
        yield opened


def port_of(url: str) -> int:
    return int(url.partition("://")[2].partition("/")[0].rpartition(":")[2])


def pull_blob(
    make_mirror: MirrorMaker, table: dict[str, Any], image: Image, settings: dict[str, Any]
) -> tuple[MirrorProcess, Answer]:
    mirror = make_mirror(upstreams={"registry.example": table | settings}, workers=1)
    base = f"{mirror.url}/v2/{image.repository}"
    manifest = fetch(f"{base}/manifests/1")
    assert (manifest.status, manifest.body) == (200, image.manifest), manifest.body
    return mirror, fetch(f"{base}/blobs/{image.layers[0]}")


@pytest.mark.parametrize("is_allowed", [False, True])
def test_blobs_in_storage_without_tls(
    make_mirror: MirrorMaker,
    plain: FakeUpstream,
    front: TlsFront,
    authority: Authority,
    *,
    is_allowed: bool,
) -> None:
    """MinIO without TLS needs a setting, which the error names."""
    plain.redirect_blobs = True
    plain.blob_location = plain.cdn_url.replace("127.0.0.1", "localhost")
    image = plain.add_image("team/stored", "1", [LAYER])
    table = {"endpoints": [front.url], "ca_file": str(authority.root)}
    settings = {"allow_http_redirects": True} if is_allowed else {}

    mirror, answer = pull_blob(make_mirror, table, image, settings)

    if is_allowed:
        assert (answer.status, answer.body) == (200, LAYER)
    else:
        assert answer.status == 502
        mirror.await_failure('set allow_http_redirects = true in [upstreams."registry.example"]')
        assert plain.journal.count("cdn") == 0


@pytest.mark.parametrize("is_allowed", [False, True])
def test_blobs_in_a_private_storage(
    make_mirror: MirrorMaker,
    plain: FakeUpstream,
    front: TlsFront,
    authority: Authority,
    *,
    is_allowed: bool,
) -> None:
    """A public registry may send us to a private address only by a setting, which is named."""
    image = plain.add_image("team/stored", "1", [LAYER])
    stored = f"{front.url}/v2/team/stored/blobs/{image.layers[0]}"
    plain.faults.add(Fault("blob", Redirect(stored), times=1))
    with HttpProxy({"registry.example:443": front.host}) as proxy:
        table = {
            "endpoints": ["https://registry.example"],
            "ca_file": str(authority.root),
            "proxy": proxy.url,
        }
        settings = {"allow_private_redirects": True} if is_allowed else {}

        mirror, answer = pull_blob(make_mirror, table, image, settings)

    if is_allowed:
        assert (answer.status, answer.body) == (200, LAYER)
    else:
        assert answer.status == 502
        words = 'set allow_private_redirects = true in [upstreams."registry.example"]'
        mirror.await_failure(words)


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize("is_allowed", [False, True])
def test_token_realm_without_tls_on_the_same_host(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    authority: Authority,
    *,
    has_tls: bool,
    is_allowed: bool,
) -> None:
    """https is tried first; http only by a setting, which the error names."""
    hub.redirect_blobs = False
    image = hub.add_image("team/realm", "1", [LAYER])
    with (
        TlsFront(authority.server_context(), port_of(hub.url)) as front,
        TlsFront(authority.server_context(), port_of(hub.realm)) as tokens,
    ):
        hub.realm_override = f"http://{tokens.host}/token" if has_tls else hub.realm
        table = {"endpoints": [front.url], "ca_file": str(authority.root)}
        settings = {"allow_http_redirects": True} if is_allowed else {}
        mirror = make_mirror(upstreams={"registry.example": table | settings}, workers=1)

        answer = fetch(f"{mirror.url}/v2/team/realm/manifests/1")

    if has_tls or is_allowed:
        assert (answer.status, answer.body) == (200, image.manifest)
    else:
        assert answer.status == 502
        mirror.await_failure('set allow_http_redirects = true in [upstreams."registry.example"]')
        assert hub.journal.count("token") == 0
