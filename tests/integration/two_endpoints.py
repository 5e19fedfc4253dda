"""Two endpoints of one upstream, behind an upstream for each way to say who names tags."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.upstream import FakeUpstream, Image
from tests.harness.mirror import MirrorProcess
from tests.integration.wire import Answer, fetch

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "trusted.test": {"names": "trusted"},
    "agree.test": {"names": "agree"},
    "alone.test": {"names": "agree", "trusted": []},
    "first.test": {"names": "first"},
}


def list_upstreams(accelerator: FakeUpstream, registry: FakeUpstream) -> dict[str, Any]:
    """Return a table for each setting, with the accelerator first; the registry is trusted."""
    # Two names of this machine: endpoints at one host are not independent.
    near = accelerator.url.replace("127.0.0.1", "localhost")
    table = {"endpoints": [near, registry.url], "trusted": [registry.host]}
    return {name: table | settings for name, settings in SETTINGS.items()}


def add(upstream: FakeUpstream, repository: str, content: str, tag: str = "1") -> Image:
    """Add an image that no other repository has."""
    return upstream.add_image(repository, tag, [f"{repository} {content}".encode()])


def ask(mirror: MirrorProcess, place: str, repository: str, method: str = "GET") -> Answer:
    """Ask for the tag 1."""
    return fetch(f"{mirror.url}/v2/{place}/{repository}/manifests/1", method=method)


def digest_of(answer: Answer) -> str | None:
    """Return the digest that an answer names."""
    return answer.headers["Docker-Content-Digest"]
