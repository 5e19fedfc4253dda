"""Access records of a real mirror: who has pulled what, or was refused, and no secret."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import MARK, USER_PASSWORD, WRONG_PASSWORD, refuse_secrets
from tests.integration.recorded import await_records, read_records
from tests.integration.wire import fetch, fetch_all, wait_until

PASSWORD = USER_PASSWORD
WRONG = "ent_wrongaaa_" + "w" * 32
TEAM, OTHER = "docker.io/team/app", "docker.io/other/app"
RULES = [
    {"who": ["mallory"], "deny": ["*"]},
    {"who": ["alice", "@build"], "allow": ["docker.io/team/*"]},
]
LAYER = 300_000  # bytes
LOGIN = {"Host": "login.lan"}


@dataclass(frozen=True)
class Site:
    """A mirror in mode `users`, an image that some may pull, and the token of `ci`."""

    mirror: MirrorProcess
    image: Image
    secret: str

    def pull(self, before: str, headers: dict[str, str], name: str = TEAM) -> set[int]:
        """Ask for the manifest several times, for the layer, and for a part of it, twice."""
        url = f"{self.mirror.url}{before}/v2/{name}"
        layer = f"{url}/blobs/{self.image.layers[0]}"
        part = headers | {"Range": "bytes=0-99"}
        answers = fetch_all([f"{url}/manifests/1"] * 5, headers)
        answers += [fetch(layer, headers), fetch(layer, headers)]
        answers += [fetch(layer, part), fetch(layer, part)]
        return {each.status for each in answers}


def basic(name: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A mirror in mode `users` with two workers."""
    access = {"mode": "users", "login_hosts": ["login.lan"], "rules": RULES}
    with FakeUpstream() as hub:
        image = hub.add_image("team/app", "1", [b"x" * LAYER])
        hub.add_image("other/app", "1", [b"y"])
        folder = tmp_path_factory.mktemp("records")
        with MirrorProcess(folder, {"docker.io": hub.url}, {"access": access}) as mirror:
            for name in ("alice", "mallory"):
                done = mirror.run("users", "add", name, "--password-stdin", stdin=PASSWORD)
                assert not done.returncode
            made = mirror.run("tokens", "add", "ci", "--group", "build", "--json")
            site = Site(mirror, image, json.loads(made.stdout)["token"])
            path = f"{mirror.url}/t/{site.secret}/v2/{TEAM}/manifests/1"
            wait_until(lambda: fetch(path).status == 200, "the token counts")
            yield site


def test_what_was_served_is_recorded(site: Site) -> None:
    """Each answer of each worker, also if it is repeated from memory, and how many bytes it had."""
    assert site.pull("", basic("alice", PASSWORD)) == {200, 206}

    records = await_records(site.mirror, 9, user="alice")

    facts = {
        (each["proof"], each["client"], each["repository"], each["rule"], each["refused"])
        for each in records
    }
    assert facts == {("password", "127.0.0.1", TEAM, "access.rules[2]", False)}
    counts: Counter[tuple[str, str, int]] = Counter()
    sizes: Counter[str] = Counter()
    for each in records:
        counts[each["kind"], each["reference"], each["status"]] += each["count"]
        sizes[each["kind"]] += each["bytes"]
    layer = str(site.image.layers[0])
    assert counts == {
        ("manifests", "1", 200): 5,
        ("blobs", layer, 200): 2,
        ("blobs", layer, 206): 2,
    }
    assert sizes == {"manifests": 5 * len(site.image.manifest), "blobs": 2 * LAYER + 200}


def test_a_token_in_the_path_is_recorded_by_its_name(site: Site) -> None:
    """The identity is that of the token, and the path is not recorded at all."""
    assert site.pull(f"/t/{site.secret}", {}) == {200, 206}

    records = await_records(site.mirror, 9, user="ci", client="127.0.0.1")

    assert {(each["proof"], each["rule"]) for each in records} == {("token", "access.rules[2]")}


def test_what_was_refused_is_recorded(site: Site) -> None:
    """By which rule, although clients see that it does not exist; and wrong passwords."""
    url = f"{site.mirror.url}/v2"
    fetch(f"{url}/{TEAM}/manifests/1", basic("mallory", PASSWORD))
    fetch(f"{url}/{OTHER}/manifests/1", basic("alice", PASSWORD))
    fetch(f"{url}/{TEAM}/manifests/1")
    fetch(f"{url}/{TEAM}/manifests/1", basic("alice", "wrong password"))
    fetch(f"{site.mirror.url}/token", LOGIN | basic("bob", "wrong password"))

    records = [
        *await_records(site.mirror, 1, user="mallory"),
        *await_records(site.mirror, 1, repository=OTHER),
        *await_records(site.mirror, 1, user="", proof="none"),
        *await_records(site.mirror, 2, proof="wrong"),
    ]

    told = [(each["user"], each["proof"], each["status"], each["rule"]) for each in records]
    assert sorted(set(told)) == [
        ("", "none", 404, ""),
        ("", "wrong", 401, ""),
        ("", "wrong", 403, ""),
        ("alice", "password", 404, ""),
        ("mallory", "password", 404, "access.rules[1]"),
    ]
    assert {each["refused"] for each in records} == {True}
    assert {each["bytes"] > 0 for each in records} == {True}  # the texts of the errors


def test_the_first_step_of_a_login_is_no_refusal(site: Site) -> None:
    """Each client of a login host is asked to log in; what it asked for is recorded."""
    assert fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/login", LOGIN).status == 401

    (record,) = await_records(site.mirror, 1, reference="login")

    assert (record["status"], record["refused"]) == (401, False)


def test_pings_are_not_recorded(site: Site) -> None:
    """Load balancers send them all day."""
    for path in ("/v2/", "/other", "/docker.io/v2/"):
        fetch(f"{site.mirror.url}{path}", basic("alice", PASSWORD))
    fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/after-the-pings", basic("alice", PASSWORD))
    await_records(site.mirror, 1, reference="after-the-pings")

    assert [each for each in read_records(site.mirror) if each["kind"] in ("base", "other")] == []


def test_no_secret_is_recorded(site: Site) -> None:
    """Neither a right nor a wrong one, wherever a client writes it; the log has none either."""
    for secret in (WRONG, site.secret):
        for path in (
            f"/t/{secret}/v2/{TEAM}/manifests/secret",
            f"/v2/t/{secret}/team/app/manifests/secret",
            f"/v2/{TEAM}/manifests/{secret}",
            f"/v2/{TEAM}/manifests/secret?token={secret}",
        ):
            for headers in ({}, basic("alice", secret), {"Authorization": f"Bearer {secret}"}):
                fetch(f"{site.mirror.url}{path}", headers)
    for password in (PASSWORD, WRONG_PASSWORD):
        for headers in (basic("alice", password), {"Authorization": f"Bearer {password}"}):
            fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/secret?token={MARK}", headers)
    await_records(site.mirror, 10, reference="secret")

    text = "".join(path.read_text() for path in (site.mirror.data / "access-records").iterdir())

    for secret in (WRONG, site.secret):
        assert secret not in text
        assert secret not in site.mirror.log()
        assert base64.b64encode(secret.encode()).decode().rstrip("=")[:-2] not in text
    refuse_secrets("a record", text.encode())
    refuse_secrets("the log", site.mirror.log().encode())


def test_pulls_are_listed(site: Site) -> None:
    """A row for each pull, with the amounts; and as JSON."""
    site.pull("", basic("alice", PASSWORD))
    site.pull(f"/t/{site.secret}", {})
    fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/1", basic("mallory", PASSWORD))
    await_records(site.mirror, 1, user="mallory")
    wait_until(lambda: len(list_pulls(site, "--user", "ci")) > 0, "the records")

    of_alice = list_pulls(site, "--user", "alice", "--repo", "team/*")
    (pull,) = [each for each in of_alice if each["outcome"] == "served"]
    refused = list_pulls(site, "--refused", "--user", "mallory")
    none = list_pulls(site, "--repo", "docker.io/nothing")
    text = site.mirror.run("pulls", "ls", "--user", "mallory")

    assert (pull["repository"], pull["outcome"], pull["client"]) == (TEAM, "served", "127.0.0.1")
    assert pull["tags"] == ["1"]
    assert pull["blob_bytes"] >= 2 * LAYER + 200
    assert [(each["outcome"], each["rules"]) for each in refused] == [
        ("refused", ["access.rules[1]"])
    ]
    assert none == []
    head, row = text.stdout.splitlines()
    assert head.split() == ["when", "user", "client", "amount", "rule", "image"]
    assert row.split()[2:] == [
        *("mallory", "127.0.0.1", "refused", "access.rules[1]", f"{TEAM}:1"),
    ]
    assert (text.returncode, text.stderr) == (0, "")


def list_pulls(site: Site, *arguments: str) -> list[dict[str, Any]]:
    done = site.mirror.run("pulls", "ls", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    pulls: list[dict[str, Any]] = json.loads(done.stdout)["pulls"]
    return pulls


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "--since: 'yesterday' is not a duration"),
        (["--repo", "nginx:1"], "--repo: 'nginx:1' names a tag or a digest"),
        (["--limit", "0"], "is not a whole number from 1 to"),
    ],
)
def test_wrong_options_are_explained(site: Site, arguments: list[str], words: str) -> None:
    """With exit code 2."""
    done = site.mirror.run("pulls", "ls", *arguments)

    assert done.returncode == 2
    assert words in done.stderr
