"""Fixtures that every kind of test uses: a scriptable upstream and real mirrors before it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import SHIPPED
from tests.harness.mirror import MirrorProcess

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("entrepot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# `make test` tries few examples, so that people wait for it; `make test-programs` tries many.
settings.register_profile("few", settings.get_profile("entrepot"), max_examples=25)
settings.register_profile("many", settings.get_profile("entrepot"), max_examples=250)
settings.load_profile("few")

MirrorMaker = Callable[..., MirrorProcess]

# Folders whose tests drive other programs, or take longer than a person waits for `make test`; and
# the fixtures elsewhere that build such a program.
PROGRAMS = frozenset(
    {"packaging", "clients", "conformance", "faults", "attacks", "fuzz", "browser"}
)
BUILT = frozenset({"crane", "oras"})
# Folders whose tests share daemons, or what they have read of all sources: one process runs such a
# folder. Elsewhere one runs a file.
TOGETHER = frozenset({"architecture", "clients", "conformance"})
APART = frozenset({"test_signed_images.py"})  # of such a folder, but with daemons of its own
# Folders whose files take longest, the longest first: begun last, they would be waited for.
LONGEST = ("packaging", "clients", "conformance", "faults")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no file without such tests where only tests that run alone are asked for."""
    wanted = config.option.markexpr
    if "alone" not in wanted or "not alone" in wanted or not collection_path.match("test_*.py"):
        return None  # others decide
    return "mark.alone" not in collection_path.read_text() or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that stay in one process or need programs; sort the longest first.

    `make test` runs what has no mark, `make test-programs` what is marked `programs`.
    """
    for item in items:
        folder = item.path.parent.name
        is_together = folder in TOGETHER and item.path.name not in APART
        group = folder if is_together else f"{folder}/{item.path.name}"
        item.add_marker(pytest.mark.xdist_group(group))
        is_alone = item.get_closest_marker("alone") is not None
        if is_alone or folder in PROGRAMS or BUILT & set(getattr(item, "fixturenames", ())):
            item.add_marker("programs")
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    """Forget the level of logs that a command has set in this process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session", autouse=True)
def default_settings() -> Iterator[None]:
    """Let commands without --config use the defaults, and no entrepot.toml of the developer."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ENTREPOT_CONFIG", str(SHIPPED))
        yield


@pytest.fixture
def hub() -> Iterator[FakeUpstream]:
    """A scriptable upstream that plays Docker Hub."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def make_mirror(tmp_path: Path, hub: FakeUpstream) -> Iterator[MirrorMaker]:
    """Makes running mirrors: `make_mirror(settings, upstreams=..., workers=...)`.

    Without `upstreams`, Docker Hub is the `hub` fixture.
    """
    numbers = count()
    with ExitStack() as stack:

        def make(
            settings: Mapping[str, Any] | None = None,
            *,
            upstreams: Mapping[str, Any] | None = None,
            workers: int = 2,
        ) -> MirrorProcess:
            folder = tmp_path / f"mirror-{next(numbers)}"
            tables = upstreams or {"docker.io": hub.url}
            mirror = MirrorProcess(folder, tables, settings, workers=workers)
            stack.callback(mirror.close)
            return mirror.start()

        yield make


@pytest.fixture
def mirror(make_mirror: MirrorMaker) -> MirrorProcess:
    """A running mirror of `hub` with two workers and default settings."""
    return make_mirror()
