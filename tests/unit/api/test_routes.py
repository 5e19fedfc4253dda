"""Laws of the dispatch: which requests are answered without content, and which are refused."""

from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from registry.api.access_log import AccessEntry, AccessLog
from registry.api.middleware import Notes
from registry.api.routes import PullApi
from registry.errors import DigestInvalid, EntrepotError, NameInvalid, NameUnknown, UpstreamLoop
from registry.metrics.process_metrics import Metrics
from registry.mirror.mirror import Mirror
from registry.mirror.mirror_rules import MirrorRules
from registry.mirror.routing import UpstreamTable
from registry.oci.registries import Registries
from registry.upstream.via import ViaWriter

NOT_CALLED = cast("Any", None)  # a request that is refused or a ping reaches no service
TABLE = UpstreamTable(Registries.of("docker.io", {"docker.io": [], "ghcr.io": []}))
VIA = ViaWriter("entrepot-0123456789abcdef")
MIRROR = Mirror(
    TABLE,
    VIA,
    circles=NOT_CALLED,
    rules=MirrorRules({}),
    manifests=NOT_CALLED,
    blobs=NOT_CALLED,
    lists=NOT_CALLED,
    repositories=NOT_CALLED,
    visits=NOT_CALLED,
)
API = PullApi(MIRROR)


async def ask(path: str, method: str = "GET", ns: str = "") -> tuple[int, Notes]:
    notes = Notes(path, ns)
    response = await API.answer(make_mocked_request(method, path), notes)
    return response.status, notes


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v2/", 200, "base"),
        ("HEAD", "/ghcr.io/v2/", 200, "base"),
        ("GET", "/index.html", 404, "other"),
        ("POST", "/v2/a/blobs/uploads/", 405, "other"),
        ("GET", "/v2/a/blobs/uploads/1", 405, "other"),
        ("PUT", "/v2/a/manifests/x", 405, "other"),
        ("DELETE", "/v2/%2e%2e/manifests/x", 405, "other"),
        ("PATCH", "/quay.io/v2/a/manifests/x", 405, "other"),
    ],
)
async def test_requests_without_content(method: str, path: str, status: int, kind: str) -> None:
    """A ping is answered, other paths are not found, and every request that writes is refused."""
    found, notes = await ask(path, method)
    assert (status, kind) == (found, notes.kind)


@pytest.mark.parametrize(
    ("path", "error", "kind"),
    [
        ("/quay.io/v2/", NameUnknown, "base"),
        ("/v2/%2e%2e/manifests/x", NameInvalid, "other"),
        ("/v2/UPPER/tags/list", NameInvalid, "tags"),
        ("/v2/a/referrers/x", DigestInvalid, "referrers"),
    ],
)
async def test_errors_are_raised_anew(path: str, error: type[EntrepotError], kind: str) -> None:
    """The error of a remembered request line is raised as a copy, so it collects no traceback."""
    raised = []
    for _ in range(2):
        notes = Notes(path, "ghcr.io")
        with pytest.raises(error) as caught:
            await API.answer(make_mocked_request("GET", path), notes)
        assert (notes.kind, notes.namespace) == (kind, "ghcr.io")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert str(raised[0]) == str(raised[1])


@pytest.mark.parametrize(("ns", "namespace"), [("ghcr.io", "ghcr.io"), ("quay.io", "")])
async def test_namespace_is_noted_for_every_answer(ns: str, namespace: str) -> None:
    """The notes have `ns` where it is known, also for a request that is refused."""
    for path in ("/v2/", "/other", "/v2/a/blobs/uploads/"):
        _, notes = await ask(path, ns=ns)
        assert namespace == notes.namespace


@pytest.mark.parametrize("name", ["a" * 247, "/".join(["a" * 15] * 15)])
@pytest.mark.parametrize("what", ["blobs/sha512:" + "0" * 128, "manifests/" + "t" * 128])
async def test_both_lines_of_a_request_have_the_same_path(name: str, what: str) -> None:
    """Who reads the log finds the end of each request, also of the longest names and digests."""
    path = f"/v2/{name}/{what}"
    with capture_logs() as lines:
        api = PullApi(MIRROR)  # here, so that its log is the captured one
        with pytest.raises(AttributeError):
            await api.answer(make_mocked_request("GET", path), Notes(path, ""))
        entry = AccessEntry("GET", path, "", "", "blobs", 200, "hit", 1, "")
        AccessLog(Metrics()).write(entry, None, 0.1)

    assert [line["path"] for line in lines] == [path, path]


@pytest.mark.parametrize("path", ["/v2/", "/v2/a/manifests/1", "/v2/a/blobs/x", "/index.html"])
async def test_own_requests_are_refused(path: str) -> None:
    """A request that this mirror has sent itself is refused before anything is looked for."""
    headers = {"Via": VIA.write()}
    with pytest.raises(UpstreamLoop):
        await API.answer(make_mocked_request("GET", path, headers), Notes(path, ""))
