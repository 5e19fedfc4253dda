"""Fixtures: a running fake, and one blob in it."""

from collections.abc import Iterator

import pytest

from tests.fakes.upstream import FakeUpstream

REPOSITORY = "library/thing"
LAYER = bytes(range(256)) * 40


@pytest.fixture
def hub() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def blob(hub: FakeUpstream) -> str:
    return hub.add_image(REPOSITORY, "latest", [LAYER]).layers[0]
