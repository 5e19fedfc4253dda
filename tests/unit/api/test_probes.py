"""Laws of probes: no upstream is asked, and who knows the number learns who has asked."""

import json
from typing import Any, cast
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from registry.access.shown_addresses import ShowAddress, show_network, show_whole
from registry.api.access_log import AccessLog
from registry.api.middleware import Middleware, Notes
from registry.api.probes import ProbeRequest, Probes, describe_refusal
from registry.api.routes import PullApi
from registry.errors import (
    EntrepotError,
    ManifestUnknown,
    NameUnknown,
    NotAllowed,
    NotMirrored,
    TooManyLogins,
)
from registry.errors.access import LoginRequired, ManifestConcealed
from registry.metrics.process_metrics import Metrics
from registry.mirror.mirror import Mirror
from registry.mirror.mirror_rules import MirrorRules
from registry.mirror.routing import UpstreamTable
from registry.oci.registries import Registries
from registry.upstream.via import ViaWriter

NOT_CALLED = cast("Any", None)  # a service that asks an upstream
NONCE = "ab" * 16
PATH = f"/v2/library/busybox/manifests/entrepot-probe-{NONCE}"
MIRROR = Mirror(
    UpstreamTable(Registries.of("docker.io", {"docker.io": []})),
    ViaWriter("entrepot-0123456789abcdef"),
    circles=NOT_CALLED,
    rules=MirrorRules({}),
    manifests=NOT_CALLED,
    blobs=NOT_CALLED,
    lists=NOT_CALLED,
    repositories=NOT_CALLED,
    visits=NOT_CALLED,
)


class ListedProbes:
    """A log in a list."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, ProbeRequest]] = []

    def note(self, nonce: str, request: ProbeRequest) -> None:
        """Add it to the list."""
        self.noted.append((nonce, request))

    def find(self, nonce: str) -> list[ProbeRequest]:
        """Return those of a number."""
        return [request for known, request in self.noted if known == nonce]


@pytest.fixture
def log() -> ListedProbes:
    """An empty log."""
    return ListedProbes()


async def ask(
    log: ListedProbes, path: str, ns: str = "", method: str = "HEAD", show: ShowAddress = show_whole
) -> Any:
    """Ask a whole API from an address, by the name of a client."""
    probes = Probes(log, show)
    api = PullApi(MIRROR, probes=probes)
    middleware = Middleware(AccessLog(Metrics()), api.answer, note_probe=probes.note)
    target = f"{path}?ns={ns}" if ns else path
    transport = Mock()
    transport.get_extra_info.side_effect = {"peername": ("10.1.2.3", 40000)}.get
    headers = {"User-Agent": "docker/24.0", "Host": "mirror.lan"}
    request = make_mocked_request(method, target, headers=headers, transport=transport)
    return await middleware.answer(request)


@pytest.mark.parametrize(
    "path",
    [PATH, f"/docker.io{PATH}", PATH.replace("/v2/", "/v2/docker.io/")],
)
async def test_a_probe_is_noted_and_not_found(log: ListedProbes, path: str) -> None:
    """By every form of URL, and without a look at anything: the services are not there."""
    answer = await ask(log, path)
    ((nonce, noted),) = log.noted

    assert (answer.status, nonce) == (404, NONCE)
    assert noted["client"] == "10.1.2.3"
    assert noted["agent"] == "docker/24.0"
    assert noted["repository"] == "docker.io/library/busybox"
    assert noted["refused"] == ""


async def test_without_a_log_no_upstream_is_asked_either(log: ListedProbes) -> None:
    """The tag means the same on every server."""
    with pytest.raises(ManifestUnknown):
        await PullApi(MIRROR).answer(make_mocked_request("GET", PATH), Notes(PATH, ""))
    assert log.noted == []


async def test_other_tags_are_not_noted(log: ListedProbes) -> None:
    """Nor is what is no manifest."""
    for path in ("/v2/", "/v2/_catalog/x", "/v2/UPPER/manifests/latest", "/index.html"):
        await ask(log, path)
    assert log.noted == []


async def test_a_registry_that_is_not_mirrored_is_told(log: ListedProbes) -> None:
    """The mirror has seen the client all the same."""
    assert (await ask(log, PATH, ns="ghcr.io")).status == 404
    assert log.noted[0][1]["refused"] == "registry"


async def test_who_knows_the_number_learns_who_has_asked(log: ListedProbes) -> None:
    """And nobody else: another number has no requests, and other paths are no questions."""
    await ask(log, PATH)
    told = await ask(log, f"/probes/{NONCE}", method="GET")
    other = await ask(log, f"/probes/{'0' * 32}", method="GET")

    assert json.loads(told.body)["requests"] == [log.noted[0][1]]
    assert told.headers["Cache-Control"] == "no-store"
    assert json.loads(other.body) == {"requests": []}
    for path in ("/probes/", "/probes/12", f"/probes/{NONCE}/x", f"/x/probes/{NONCE}"):
        assert (await ask(log, path, method="GET")).status == 404


async def test_an_address_is_kept_as_the_settings_say(log: ListedProbes) -> None:
    """With `access.addresses = "networks"`, only its network is."""
    await ask(log, PATH, show=show_network)
    assert log.noted[0][1]["client"] == "10.1.2.0/24"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ManifestUnknown("a/b", "c"), ""),
        (LoginRequired(), "login"),
        (NotAllowed("rule 1"), "rules"),
        (NotMirrored("a/b", "denied"), "images"),
        (NameUnknown("ghcr.io"), "registry"),
        (TooManyLogins(), "other"),
    ],
)
def test_a_refusal_has_a_word(error: EntrepotError, word: str) -> None:
    """Also if the client is told another reason."""
    assert describe_refusal(error) == word
    concealed = ManifestConcealed(error)
    concealed.__cause__ = error
    assert describe_refusal(concealed) == word
