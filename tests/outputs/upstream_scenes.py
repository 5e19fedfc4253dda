"""What is recorded of `entrepot upstreams`: somebody tries the endpoints of a list from a forum."""

from types import MappingProxyType
from urllib.parse import urlsplit

from tests.harness.candidates import IMAGES, open_candidates
from tests.outputs.scenes import Stage

ENDPOINTS = "Endpoints of an upstream"  # the title of the section
# Names of the endpoints on the page, as long as an address with its port.
_HOSTS = MappingProxyType(
    {
        "own": "the-origin.test",
        "slow": "slow-night.test",
        "no ranges": "rangeless1.test",
        "old names": "old-digest.test",
        "dead port": "dead-ports.test",
        "plain http": "plain-http.test",
        "portal": "web-portal.test",
        "no tokens": "no-tokens1.test",
        "locked": "locked-out.test",
        "no images": "not-a-copy.test",
        "throttled": "throttling.test",
        "cuts": "cuts-often.test",
        "lies": "lies-a-bit.test",
    }
)


def choose_endpoints(stage: Stage) -> None:
    """Test endpoints of all kinds, and write the best order into the settings."""
    stage.begin(ENDPOINTS)
    words = f"upstreams test {' '.join(IMAGES)}"
    with open_candidates() as candidates:
        addresses = {name: url.partition("://")[2] for name, url in candidates.urls.items()}
        stage.names |= {addresses[name]: host for name, host in _HOSTS.items()}
        stage.names[urlsplit(candidates.token_service).netloc] = "auth-gone1.test"
        (stage.folder / "mirrors").mkdir()
        candidates.write_settings(stage.folder / "mirrors")
        listed = "\n".join(candidates.others)
        (stage.folder / "mirrors.txt").write_text(f"# from a forum\n{listed}\n")
        config = "--config /srv/mirrors/entrepot.toml"
        stage.run(f"{words} --from /srv/mirrors.txt {config}", again=False)
        stage.run(f"{words} {candidates.urls['slow']} --write {config}", again=False)
        stage.run(f"{words} {candidates.urls['dead port']} {config}", again=False)
        stage.run(f"{words} mirror.example.net {config}")
        stage.names.clear()
