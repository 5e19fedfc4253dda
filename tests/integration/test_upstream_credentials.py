"""Credentials open private repositories, and are sent to their own realm only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.client import basic
from tests.fakes.upstream import FakeUpstream
from tests.harness.planted import UPSTREAM_PASSWORD
from tests.integration.wire import fetch, wait_until

LOGIN = ("ann", UPSTREAM_PASSWORD)
BASIC = basic(*LOGIN)


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(LOGIN[1] + "\n")
    return str(path)


@pytest.fixture
def stranger() -> Iterator[FakeUpstream]:
    """Another registry, under another host name: the mirror calls it `localhost`."""
    with FakeUpstream() as upstream:
        yield upstream


def at_localhost(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


def given_logins(hub: FakeUpstream) -> set[str]:
    """Return every Basic login that a registry has received."""
    told = {entry.headers.get("Authorization", "") for entry in hub.journal}
    return {value for value in told if value.startswith("Basic ")}


def log_in(hub: FakeUpstream, password_file: str, **more: Any) -> dict[str, Any]:
    table = {
        "endpoints": [hub.url],
        "username": LOGIN[0],
        "password_file": password_file,
        "auth_realms": [hub.realm.split("/")[2]],
    }
    return {"docker.io": table | more}


def test_a_private_repository_is_pulled_with_credentials(
    make_mirror: MirrorMaker, hub: FakeUpstream, password_file: str
) -> None:
    """With `username` and `password_file` a private image comes through, manifest and blob."""
    image = hub.add_image("team/private", "1", [b"private" * 100])
    hub.private = {"team/private": LOGIN}
    mirror = make_mirror(upstreams=log_in(hub, password_file), workers=1)
    base = f"{mirror.url}/v2/team/private"

    manifest = fetch(f"{base}/manifests/1")
    blob = fetch(f"{base}/blobs/{image.layers[0]}")

    assert (manifest.status, manifest.body) == (200, image.manifest)
    assert (blob.status, blob.body) == (200, b"private" * 100)
    assert given_logins(hub) == {BASIC}
    assert not [e for e in hub.journal.of("cdn") if "Authorization" in e.headers], hub.journal
    assert LOGIN[1] not in mirror.log()


def test_a_registry_with_basic_authentication_is_pulled(
    make_mirror: MirrorMaker, hub: FakeUpstream, password_file: str
) -> None:
    """Where the registry itself asks for Basic, it gets it."""
    image = hub.add_image("team/basic", "1", [b"basic" * 100])
    hub.auth, hub.require_user = "basic", LOGIN
    mirror = make_mirror(upstreams=log_in(hub, password_file), workers=1)
    base = f"{mirror.url}/v2/team/basic"

    assert fetch(f"{base}/manifests/1").body == image.manifest
    assert fetch(f"{base}/blobs/{image.layers[0]}").body == b"basic" * 100
    assert not [e for e in hub.journal.of("cdn") if "Authorization" in e.headers], hub.journal


@pytest.mark.parametrize("auth", ["bearer", "basic"])
def test_a_wrong_password_is_an_absence(
    make_mirror: MirrorMaker, hub: FakeUpstream, password_file: str, auth: Any
) -> None:
    """Refused credentials are 404 for clients, never a challenge, and the log says why."""
    hub.add_image("team/private", "1", [b"private"])
    hub.auth, hub.require_user = auth, ("ann", "another")
    mirror = make_mirror(upstreams=log_in(hub, password_file), workers=1)

    answer = fetch(f"{mirror.url}/v2/team/private/manifests/1")

    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    assert "WWW-Authenticate" not in answer.headers

    def told() -> list[str]:
        whys = [event["failure"] for event in mirror.events("request")]
        return [why for why in whys if "refuse" in why or "login" in why]

    wait_until(told, "the reason in the log")


def test_a_foreign_realm_is_not_told_the_password(
    make_mirror: MirrorMaker, hub: FakeUpstream, stranger: FakeUpstream, password_file: str
) -> None:
    """A challenge that names another host's realm is answered anonymously there, and logged."""
    hub.add_image("team/lured", "1", [b"lured"])
    hub.realm_override = at_localhost(stranger.realm)
    mirror = make_mirror(upstreams=log_in(hub, password_file), workers=1)

    answer = fetch(f"{mirror.url}/v2/team/lured/manifests/1")

    assert answer.status == 404  # the token of another registry opens nothing here
    assert stranger.journal.count("token") == 1, stranger.journal
    assert given_logins(stranger) == set()
    assert [event["host"] for event in mirror.events("credentials withheld from an unknown host")]


def test_a_realm_that_the_operator_trusts_is_told_the_password(
    make_mirror: MirrorMaker, hub: FakeUpstream, password_file: str
) -> None:
    """`auth_realms` names further hosts that belong to the upstream."""
    image = hub.add_image("team/private", "1", [b"private"])
    hub.private = {"team/private": LOGIN}
    hub.realm_override = at_localhost(hub.realm)
    upstreams = log_in(hub, password_file, auth_realms=[at_localhost(hub.realm).split("/")[2]])
    mirror = make_mirror(upstreams=upstreams, workers=1)

    assert fetch(f"{mirror.url}/v2/team/private/manifests/1").body == image.manifest


@pytest.mark.parametrize("lure", ["bearer", "basic", "the upstream's own realm"])
def test_an_accelerator_never_gets_anything_of_ours(
    make_mirror: MirrorMaker,
    hub: FakeUpstream,
    stranger: FakeUpstream,
    password_file: str,
    lure: str,
) -> None:
    """An accelerator listed first sees no password, and no token that a password obtained."""
    image = hub.add_image("team/private", "1", [b"private"])
    hub.private = {"team/private": LOGIN}
    stranger.add_image("team/private", "1", [b"the accelerator's"])
    stranger.auth, stranger.require_user = "bearer", ("bob", "other")
    if lure == "basic":
        stranger.auth = "basic"
    stranger.realm_override = at_localhost(stranger.realm) if lure == "bearer" else hub.realm
    endpoints = [at_localhost(stranger.url), hub.url]
    realms = [hub.host, hub.realm.split("/")[2]]
    upstreams = log_in(hub, password_file, endpoints=endpoints, auth_realms=realms)
    mirror = make_mirror(upstreams=upstreams, workers=1)

    answer = fetch(f"{mirror.url}/v2/team/private/manifests/1")

    assert (answer.status, answer.body) == (200, image.manifest)
    assert stranger.journal.count("manifest") > 0, stranger.journal
    assert given_logins(stranger) == set()
    tokens = [e.headers["Authorization"] for e in stranger.journal if "Authorization" in e.headers]
    opened = [
        fetch(f"{hub.url}/v2/team/private/manifests/1", {"Authorization": each}).status
        for each in tokens
    ]
    assert [status for status in opened if status == 200] == []
