"""A token in a place of a name: refused, and known to nobody but the client."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.test_access import basic
from tests.integration.wire import fetch, list_tree, wait_until

# What stands after the address of the mirror; TOKEN is a real one.
PLACES = {
    "docker pull mirror/t/TOKEN/app": "/v2/t/TOKEN/library/app/manifests/1",
    "docker pull mirror/docker.io/t/TOKEN/app": "/v2/docker.io/t/TOKEN/app/manifests/1",
    "as a user": "/v2/TOKEN/app/manifests/1",
    "as an image": "/v2/library/TOKEN/manifests/1",
    "as a part of a name": "/v2/library/app-TOKEN/manifests/1",
    "as a tag": "/v2/library/app/manifests/TOKEN",
    "as a registry": "/v2/TOKEN/library/app/manifests/1",
    "as a prefix": "/TOKEN/v2/library/app/manifests/1",
    "after two slashes": "//t/TOKEN/v2/library/app/manifests/1",
    "twice": "/t/TOKEN/v2/t/TOKEN/app/manifests/1",
    "in ns": "/v2/library/app/manifests/1?ns=TOKEN",
    "in another parameter": "/v2/library/app/tags/list?last=TOKEN",
    "in a list of tags": "/v2/t/TOKEN/app/tags/list",
    "in a blob": f"/v2/t/TOKEN/app/blobs/sha256:{'0' * 64}",
    "in a list of referrers": f"/v2/t/TOKEN/app/referrers/sha256:{'0' * 64}",
    "in a push": "/v2/t/TOKEN/app/blobs/uploads/",
    "in no path of the API": "/TOKEN",
    "in the scope of a login": "/token?scope=repository:t/TOKEN/app:pull",
    "in the account of a login": "/token?account=TOKEN",
}
SPELLINGS = {
    "as it is": str,
    "in large letters": str.upper,
    "escaped": lambda token: token.replace("e", "%65").replace("_", "%5f"),
    "escaped twice": lambda token: token.replace("_", "%255F"),
}
CURE = "log in with it as the password, or write it into the address of the mirror"


@dataclass(frozen=True)
class Site:
    """A mirror, its upstream, and a token of it."""

    mirror: MirrorProcess
    hub: FakeUpstream
    token: str

    def list_traces(self) -> list[str]:
        """Return where the secret of the token can be read; the mirror itself keeps a hash."""
        secret = self.token.rpartition("_")[2]
        texts = {"the log": self.mirror.log(), "the requests": repr(list(self.hub.journal))}
        texts["the names of files"] = "\n".join(list_tree(self.mirror.data))
        for path in self.mirror.data.rglob("*"):
            if path.is_file():
                texts[str(path)] = path.read_bytes().decode("latin-1")
        return [place for place, text in texts.items() if secret in text.lower()]


@pytest.fixture(scope="module", params=["open", "users"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A mirror of either mode, which asks clients of its own host to log in."""
    rules = [{"who": ["ci"], "allow": ["docker.io/*"]}]
    access = {"mode": request.param, "rules": rules, "login_hosts": ["127.0.0.1"], "records": True}
    folder: Path = tmp_path_factory.mktemp("misplaced")
    with FakeUpstream() as hub:
        hub.add_image("library/app", "1", [b"app"])
        with MirrorProcess(folder, {"docker.io": hub.url}, {"access": access}, workers=1) as mirror:
            made = mirror.run("tokens", "add", "ci", "--json")
            token = made.stdout.split('"token": "')[1].split('"')[0]
            url = f"{mirror.url}/t/{token}/v2/library/app/manifests/1"
            wait_until(lambda: fetch(url).status == 200, "the token")
            hub.journal.clear()
            yield Site(mirror, hub, token)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_no_name(site: Site, place: str, spelling: str) -> None:
    """The client is told where it belongs, and nobody is asked for it."""
    path = PLACES[place].replace("TOKEN", SPELLINGS[spelling](site.token))

    answers = [fetch(f"{site.mirror.url}{path}", headers) for headers in ({}, basic("x", "y"))]

    assert [answer.status for answer in answers] == [400, 400]
    assert all(CURE in answer.message for answer in answers)
    assert [*site.hub.journal] == []


@pytest.mark.parametrize("site", ["users"], indirect=True)
def test_a_token_is_no_user(site: Site) -> None:
    """Not even if a client logs in with it in front of the password."""
    answer = fetch(f"{site.mirror.url}/v2/", basic(site.token, "x"))

    assert (answer.status, CURE in answer.message) == (400, True)
    assert fetch(f"{site.mirror.url}/v2/", basic(site.token, site.token)).status == 200


@pytest.mark.parametrize("image", ["t/TOKEN/library/app:1", "ghcr.io/team/app:TOKEN"])
def test_commands_take_no_token_for_a_name(site: Site, image: str) -> None:
    """On the command line, and in a list; nobody is asked, and nothing of it is printed."""
    name = image.replace("TOKEN", site.token)

    for words, listed in (((name,), ""), (("--file", "-"), f"{name}\n")):
        done = site.mirror.run("images", "warm", *words, stdin=listed)
        assert done.returncode == 2
        assert CURE in done.stderr
        assert site.token not in done.stdout + done.stderr
    assert [*site.hub.journal] == []


def test_a_token_leaves_no_trace(site: Site) -> None:
    """Neither in the log, nor on the disk, nor in what an upstream gets."""
    for place in PLACES.values():
        for write in SPELLINGS.values():
            path = place.replace("TOKEN", write(site.token))
            headers = {"User-Agent": f"client/{site.token}"}
            fetch(f"{site.mirror.url}{path}", headers)
            fetch(f"{site.mirror.url}{path}", headers, method="POST", body=b"")
    fetch(f"{site.mirror.url}/v2/library/app/manifests/last", basic("ci", site.token))
    wait_until(lambda: "/manifests/last" in site.mirror.log(), "the last request is logged")

    assert site.list_traces() == []
