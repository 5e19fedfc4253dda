"""Redirects of an upstream: followed by hand, without our login, and not everywhere."""

from collections.abc import Iterator

import pytest

from tests.fakes.certificates import Authority, make_authority
from tests.fakes.proxies import TlsFront
from tests.fakes.upstream import FakeUpstream, Fault, Redirect, RedirectLoop
from tests.harness.mirror import MirrorProcess
from tests.harness.planted import PROXY_PASSWORD
from tests.integration.wire import fetch


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secure_hub() -> Iterator[FakeUpstream]:
    """A registry without tokens, to stand behind TLS."""
    with FakeUpstream(auth="none") as upstream:
        upstream.redirect_blobs = False
        yield upstream


@pytest.fixture(scope="module")
def mirror(
    shared_hub: FakeUpstream,
    secure_hub: FakeUpstream,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MirrorProcess]:
    """A mirror of a plain registry, and of one over TLS with a root of its own, and without."""
    with TlsFront(authority.server_context(), int(secure_hub.url.rpartition(":")[2])) as front:
        upstreams = {
            "docker.io": shared_hub.url,
            "secure.test": {"endpoints": [front.url], "ca_file": str(authority.root)},
            "distrusted.test": {"endpoints": [front.url]},
        }
        folder = tmp_path_factory.mktemp("redirects")
        with MirrorProcess(folder, upstreams, workers=1) as running:
            yield running


def test_blobs_are_fetched_where_they_are_redirected_to(
    mirror: MirrorProcess, shared_hub: FakeUpstream
) -> None:
    """The second host sees the signed query byte for byte, and no Authorization."""
    image = shared_hub.add_image("team/redirected", "1", [b"redirected" * 1000])

    answer = fetch(f"{mirror.url}/v2/team/redirected/blobs/{image.layers[0]}")

    assert (answer.status, answer.body) == (200, b"redirected" * 1000)
    followed = shared_hub.journal.of("cdn", contains=image.layers[0])
    # The signatures hold %2B, %2F and `a%20b+c`, and the content host compares bytes.
    assert [entry.status for entry in followed if entry.method == "GET"] == [200], followed
    assert not [entry for entry in followed if "Authorization" in entry.headers], followed


@pytest.mark.parametrize("kind", ["manifest", "blob"])
def test_a_loop_ends(mirror: MirrorProcess, shared_hub: FakeUpstream, kind: str) -> None:
    """After five hops an upstream that goes in circles is refused."""
    image = shared_hub.add_image("team/loop", "1", [b"loop"])
    fault = Fault(kind, RedirectLoop(), contains="team/loop", times=None)  # type: ignore[arg-type]
    shared_hub.faults.add(fault)
    what = "manifests/1" if kind == "manifest" else f"blobs/{image.layers[0]}"

    answer = fetch(f"{mirror.url}/v2/team/loop/{what}")

    shared_hub.faults.clear()
    assert answer.status == 502
    mirror.await_failure("redirects more than 5 times")
    assert fault.applied <= 6, shared_hub.journal


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:70/x",
        "//",
        f"http://user:{PROXY_PASSWORD}@127.0.0.1/x",
        "http://127.0.0.1:0/x",
        "http://[::1/x",
        "http://127.0.0.1:99999/x",
    ],
)
def test_a_redirect_to_no_web_address_is_refused(
    mirror: MirrorProcess, shared_hub: FakeUpstream, location: str
) -> None:
    """Only http and https are followed; the answer is an error in the specification's JSON."""
    image = shared_hub.add_image("team/astray", "1", [b"astray"])
    shared_hub.faults.add(Fault("blob", Redirect(location), contains="astray", times=None))

    answer = fetch(f"{mirror.url}/v2/team/astray/blobs/{image.layers[0]}")

    shared_hub.faults.clear()
    assert answer.status in {502, 503}
    assert answer.code == "UNAVAILABLE"


def test_a_registry_over_tls_is_pulled(mirror: MirrorProcess, secure_hub: FakeUpstream) -> None:
    """With its root in `ca_file` an upstream over TLS serves manifests and blobs."""
    image = secure_hub.add_image("team/secure", "1", [b"secure" * 1000])
    base = f"{mirror.url}/v2/secure.test/team/secure"

    assert fetch(f"{base}/manifests/1").body == image.manifest
    assert fetch(f"{base}/blobs/{image.layers[0]}").body == b"secure" * 1000


def test_an_unknown_root_is_not_trusted(mirror: MirrorProcess, secure_hub: FakeUpstream) -> None:
    """Without `ca_file` the same upstream gets no request at all."""
    secure_hub.add_image("team/distrusted", "1", [b"distrusted"])
    secure_hub.journal.clear()

    answer = fetch(f"{mirror.url}/v2/distrusted.test/team/distrusted/manifests/1")

    assert answer.status == 503
    mirror.await_failure("certificate verify failed")
    assert len(secure_hub.journal) == 0, secure_hub.journal


def test_tls_is_never_left(mirror: MirrorProcess, secure_hub: FakeUpstream) -> None:
    """A redirect from https to http is refused, and the plain host is not asked."""
    image = secure_hub.add_image("team/downgraded", "1", [b"downgraded"])
    plain = f"{secure_hub.cdn_url}/registry-v2/team/downgraded/blobs/{image.layers[0]}/data"
    secure_hub.faults.add(Fault("blob", Redirect(plain), contains="downgraded", times=None))
    secure_hub.journal.clear()

    answer = fetch(f"{mirror.url}/v2/secure.test/team/downgraded/blobs/{image.layers[0]}")

    secure_hub.faults.clear()
    assert answer.status == 502
    mirror.await_failure("from https to http")
    assert secure_hub.journal.count("cdn") == 0, secure_hub.journal


def test_a_plain_realm_of_a_tls_registry_is_refused(
    mirror: MirrorProcess, secure_hub: FakeUpstream
) -> None:
    """A registry over TLS cannot make us ask for tokens in the clear."""
    secure_hub.add_image("team/realm", "1", [b"realm"])
    secure_hub.auth = "bearer"
    secure_hub.journal.clear()

    answer = fetch(f"{mirror.url}/v2/secure.test/team/realm/manifests/1")

    secure_hub.auth = "none"
    assert answer.status == 502
    mirror.await_failure("realm is not https")
    assert secure_hub.journal.count("token") == 0, secure_hub.journal
