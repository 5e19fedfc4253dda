"""Why a pull was slow: the console says how fast each blob of an image came, and from where."""

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser, path_of
from tests.harness.deadline import await_truth
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import fetch

SIZE = 400_000


@pytest.fixture
def mirror(hub: FakeUpstream, mirror: MirrorProcess) -> MirrorProcess:
    """A mirror that has pulled one image from a slow upstream, and another one."""
    for name in ("slow", "slow-too"):
        image = hub.add_image(f"acme/{name}", "1", [hub.add_big_blob(SIZE, seed=len(name))])
        hub.rate = 1_000_000 if name == "slow" else None
        fetch(f"{mirror.url}/v2/acme/{name}/manifests/1")
        for blob in image.layers:
            assert fetch(f"{mirror.url}/v2/acme/{name}/blobs/{blob}").status == 200
    return mirror


def test_the_events_of_an_image_say_how_fast_it_came(
    hub: FakeUpstream, mirror: MirrorProcess
) -> None:
    """Its page leads to them: seconds, bytes per second, and the endpoint, of this image only."""
    browser = ConsoleBrowser(mirror)
    link = "/events?about=docker.io/acme/slow"
    assert f'href="{link}"' in browser.ask(path_of("docker.io/acme/slow:1")).text
    await_truth(lambda: browser.read(link)["events"])
    (event,) = browser.read(link)["events"]
    facts = event["facts"]
    assert event["event"] == "download ended"
    assert (facts["repository"], facts["received"]) == ("docker.io/acme/slow", str(SIZE))
    assert (facts["endpoint"], float(facts["seconds"]) > 0.2) == (hub.url, True), facts
    assert 100_000 < int(facts["rate"]) < 2_000_000
    page = browser.ask(link).text
    assert "A blob was downloaded" in page
    assert "KiB/s" in page
