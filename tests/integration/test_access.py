"""Every identity, rule and endpoint: the status is as ruled, and "not allowed" is "not there"."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import UPSTREAM_PASSWORD, USER_PASSWORD, WRONG_PASSWORD
from tests.integration.wire import Answer, fetch, wait_until

LOGIN = ("robot", UPSTREAM_PASSWORD)
PASSWORD = USER_PASSWORD
PUBLIC, TEAM, PRIVATE = "docker.io/library/public", "docker.io/team/app", "corp.test/secret"
RULES = [
    {"who": ["mallory"], "deny": ["*"]},
    {"who": ["alice", "@build"], "allow": ["docker.io/team/*"]},
    {"who": ["alice"], "allow": ["corp.test/*"]},
    {"who": ["*"], "allow": ["docker.io/library/*", "*/library/*"]},
]
ALLOWED = {
    "nobody": {PUBLIC},
    "alice": {PUBLIC, TEAM, PRIVATE},
    "alice by a signed token": {PUBLIC, TEAM, PRIVATE},
    "mallory": set(),
    "ci by path": {PUBLIC, TEAM},
    "ci as a password": {PUBLIC, TEAM},
    "ci as bearer": {PUBLIC, TEAM},
}


@dataclass(frozen=True)
class Site:
    """A mirror with three repositories that have been pulled, and a token."""

    mirror: MirrorProcess
    images: dict[str, Image]
    secret: str

    def find_way(self, who: str) -> tuple[str, dict[str, str]]:
        """Return the path before everything, and the headers, by which somebody asks."""
        match who:
            case "alice" | "mallory":
                return "", basic(who, PASSWORD)
            case "alice by a signed token":
                scopes = "&".join(f"scope=repository:{name}:pull" for name in self.images)
                answer = fetch(
                    f"{self.mirror.url}/token?{scopes}",
                    basic("alice", PASSWORD) | {"Host": "login.lan"},
                )
                return "", {"Authorization": f"Bearer {answer.json()['token']}"}
            case "ci by path":
                return f"/t/{self.secret}", {}
            case "ci as a password":
                return "", basic("ci", self.secret)
            case "ci as bearer":
                return "", {"Authorization": f"Bearer {self.secret}"}
        return "", {}

    def ask(self, who: str, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask as somebody, by a path that begins with /v2/ or a registry."""
        before, known = self.find_way(who)
        return fetch(f"{self.mirror.url}{before}{path}", known | headers, method=method)


def basic(name: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A mirror in mode `users`."""
    folder = tmp_path_factory.mktemp("access")
    with FakeUpstream() as hub, FakeUpstream() as corp:
        corp.require_user = LOGIN
        (folder / "password").write_text(LOGIN[1])
        private = {
            "endpoints": [corp.url],
            "username": LOGIN[0],
            "password_file": str(folder / "password"),
            "auth_realms": [corp.realm.split("/")[2]],
        }
        access = {"mode": "users", "login_hosts": ["login.lan"], "rules": RULES}
        mirror = MirrorProcess(
            folder, {"docker.io": hub.url, "corp.test": private}, {"access": access}, workers=1
        )
        mirror.start()
        try:
            yield fill(mirror, hub, corp)
        finally:
            mirror.stop()


def fill(mirror: MirrorProcess, hub: FakeUpstream, corp: FakeUpstream) -> Site:
    """Add the accounts and the images, and pull all as alice."""
    for name in ("alice", "mallory"):
        assert not mirror.run("users", "add", name, "--password-stdin", stdin=PASSWORD).returncode
    made = mirror.run("tokens", "add", "ci", "--group", "build", "--json")
    secret = made.stdout.split('"token": "')[1].split('"')[0]
    images = {}
    for number, (full, upstream) in enumerate(((PUBLIC, hub), (TEAM, hub), (PRIVATE, corp))):
        layer = bytes([number]) * 5000
        images[full] = upstream.add_image(full.partition("/")[2], "1", [layer])
    site = Site(mirror, images, secret)
    wait_until(lambda: site.ask("alice", f"/v2/{PUBLIC}/manifests/1").status == 200, "accounts")
    for full, image in images.items():
        assert site.ask("alice", f"/v2/{full}/manifests/1").status == 200
        for digest in (image.config, *image.layers):
            url = f"/v2/{full}/blobs/{digest}"
            wait_until(lambda url=url: site.ask("alice", url).origin == "hit", "it is stored")
    return site


def list_shapes(full: str) -> list[str]:
    """Return the ways to write a repository: what stands before `/manifests/`, and after it."""
    registry, _, name = full.partition("/")
    return [
        f"/v2/{full}TAIL",
        f"/{registry}/v2/{name}TAIL",
        f"/v2/{name}TAIL?ns={registry}",
        f"/v2/{full}TAIL?ns={registry}",
        f"/v2/{full.replace('o', '%6f', 1)}TAIL",
    ] + ([f"/v2/{name}TAIL"] if registry == "docker.io" else [])


@pytest.mark.parametrize("who", ALLOWED)
@pytest.mark.parametrize("full", [PUBLIC, TEAM, PRIVATE])
def test_every_endpoint_asks_the_rules(site: Site, who: str, full: str) -> None:
    """By every spelling, also if an answer is repeated; and what exists is not told."""
    image = site.images[full]
    missing = "sha256:" + "0" * 64
    pairs = [
        ("/manifests/1", "/manifests/none"),
        (f"/manifests/{image.digest}", f"/manifests/{missing}"),
        (f"/blobs/{image.layers[0]}", f"/blobs/{missing}"),
        (f"/blobs/{image.config}", f"/blobs/{missing}"),
    ]
    is_allowed = full in ALLOWED[who]

    for shape in list_shapes(full):
        for there, nowhere in pairs:
            for method in ("GET", "HEAD", "GET"):
                found = site.ask(who, shape.replace("TAIL", there), method)
                assert found.status == (200 if is_allowed else 404), (shape, there, method)
            control = site.ask(who, shape.replace("TAIL", nowhere))
            assert control.status == 404
            if not is_allowed:
                assert (found.body, found.lasting_headers) == (
                    control.body,
                    control.lasting_headers,
                )


@pytest.mark.parametrize("who", ALLOWED)
def test_a_blob_is_served_only_where_its_repository_has_it(site: Site, who: str) -> None:
    """Who may pull one repository does not get the blobs of another one through it."""
    stolen = site.images[PRIVATE].layers[0]

    answers = [
        site.ask(who, f"/v2/{PUBLIC}/blobs/{digest}", method)
        for digest in (stolen, "sha256:" + "0" * 64)
        for method in ("GET", "HEAD")
    ]

    assert {each.status for each in answers} == {404}
    assert answers[0].body == answers[2].body


@pytest.mark.parametrize("who", ALLOWED)
def test_lists_show_what_may_be_pulled(site: Site, who: str) -> None:
    """The list of repositories, of tags, and of referrers."""
    shown = site.ask(who, "/v2/_catalog").json()["repositories"]

    assert set(shown) == ALLOWED[who]
    for full, image in site.images.items():
        is_allowed = full in ALLOWED[who]
        tags = site.ask(who, f"/v2/{full}/tags/list")
        referrers = site.ask(who, f"/v2/{full}/referrers/{image.digest}")
        assert tags.status == (200 if is_allowed else 404)
        if not is_allowed:
            nowhere = full.rpartition("/")[0] + "/nowhere"
            other = site.ask(who, f"/v2/{nowhere}/referrers/{image.digest}")
            assert (referrers.status, referrers.body) == (other.status, other.body)
            assert referrers.status == 404


def test_the_page_for_browsers_names_no_registry_of_ours(site: Site) -> None:
    """Nobody has logged in: who has, asks `entrepot setup` for the other registries."""
    page = fetch(f"{site.mirror.url}/", {"Accept": "text/html"})

    assert page.status == 200
    assert b"docker.io" in page.body
    assert b"corp.test" not in page.body


def test_a_mirror_never_challenges(site: Site) -> None:
    """dockerd would answer with its user's password for Docker Hub."""
    for path in ("/v2/", f"/v2/{PRIVATE}/manifests/1", "/v2/_catalog", "/docker.io/v2/"):
        for host in ("mirror.lan", "127.0.0.1", "docker.io.login.lan", ""):
            for headers in ({}, basic("alice", "wrong password")):
                answer = fetch(site.mirror.url + path, headers | {"Host": host})
                assert answer.status != 401
                assert answer.headers["WWW-Authenticate"] is None
    for path in ("/docker.io/v2/", f"/v2/{TEAM}/manifests/1?ns=docker.io", "/t/x/v2/"):
        answer = fetch(site.mirror.url + path, {"Host": "login.lan"})
        assert (answer.status == 401, answer.headers["WWW-Authenticate"]) == (False, None)


def test_a_login_host_asks_for_a_login(site: Site) -> None:
    """At the ping, and where more than nobody may do is asked for."""
    host = {"Host": "login.lan:5000"}
    realm = 'Bearer realm="http://login.lan:5000/token",service="entrepot"'

    ping = fetch(f"{site.mirror.url}/v2/", host)
    asked = fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/1", host)
    public = fetch(f"{site.mirror.url}/v2/{PUBLIC}/manifests/1", host)
    known = fetch(f"{site.mirror.url}/v2/", host | basic("alice", PASSWORD))
    refused = fetch(f"{site.mirror.url}/v2/{TEAM}/manifests/1", host | basic("mallory", PASSWORD))
    odd = fetch(f"{site.mirror.url}/v2/a%22,realm=%22x/manifests/1", host)

    for answer in (ping, odd):
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, realm)
    scope = f'{realm},scope="repository:{TEAM}:pull"'
    assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, scope)
    assert (public.status, known.status, refused.status) == (200, 200, 404)


def test_a_signed_token_is_for_its_repositories(site: Site) -> None:
    """For another one, a login host asks for another token; elsewhere there is nothing."""
    host = {"Host": "login.lan"}
    url = f"{site.mirror.url}/token?scope=repository:{TEAM}:pull"
    token = fetch(url, host | basic("alice", PASSWORD)).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}

    answers = {
        full: fetch(f"{site.mirror.url}/v2/{full}/manifests/1", bearer) for full in (TEAM, PUBLIC)
    }
    asked = fetch(f"{site.mirror.url}/v2/{PUBLIC}/manifests/1", bearer | host)
    again = fetch(url, host | bearer)

    assert [each.status for each in answers.values()] == [200, 404]
    assert asked.status == 401
    assert 'error="insufficient_scope"' in str(asked.headers["WWW-Authenticate"])
    assert again.status == 401  # a signed token is no way to a longer one


def test_tokens_are_given_only_where_logins_are_asked_for(site: Site) -> None:
    """Another host has no such path."""
    answer = fetch(f"{site.mirror.url}/token", basic("alice", PASSWORD))

    assert (answer.status, answer.code) == (404, "NAME_UNKNOWN")


def test_secrets_are_not_logged(site: Site, tmp_path: Path) -> None:
    """Neither passwords nor tokens, also if they are wrong, and wherever they stand."""
    wrong = ["ent_wrong00_" + "w" * 32, WRONG_PASSWORD]
    for secret in wrong:
        site.ask("nobody", f"/t/{secret}/v2/{TEAM}/manifests/1")
        site.ask("nobody", f"/%74/{secret}/v2/../x")
        site.ask("nobody", f"/t/{secret}")
        fetch(f"{site.mirror.url}/v2/", {"Authorization": f"Bearer {secret}"})
        fetch(f"{site.mirror.url}/v2/", basic("alice", secret))
    site.ask("ci by path", f"/v2/{TEAM}/manifests/1")

    log = site.mirror.log()

    for secret in (*wrong, site.secret, PASSWORD, LOGIN[1]):
        assert secret not in log
        assert base64.b64encode(secret.encode()).decode().rstrip("=")[:-2] not in log


def test_the_log_says_who_and_by_which_rule(site: Site) -> None:
    """So that an operator can see why something was allowed."""
    site.ask("ci by path", f"/v2/{TEAM}/manifests/1?x=1")

    lines = [each for each in site.mirror.events("request") if each.get("user") == "ci"]

    assert lines[-1]["rule"] == "access.rules[2]"
    assert lines[-1]["path"] == f"/v2/{TEAM}/manifests/1"
