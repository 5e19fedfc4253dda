"""What the tests of running mirrors share: one mirror for many tests, and figures to read."""

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.candidates import Candidates, open_candidates
from tests.harness.mirror import MirrorProcess

PLACES = 24
FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[FakeUpstream]:
    """A scriptable upstream for a whole file; each test uses repositories of its own."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def candidates() -> Iterator[Candidates]:
    """Endpoints of all kinds, for a whole file."""
    with open_candidates() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_mirror(
    shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorProcess]:
    """A mirror of `shared_hub` with one worker for a whole file."""
    folder = tmp_path_factory.mktemp("shared")
    with MirrorProcess(folder, {"docker.io": shared_hub.url}, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def doubting_mirror(
    shared_hub: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MirrorProcess]:
    """A mirror that believes no tag for longer than a moment.

    It knows `shared_hub` by many names: each has a breaker, tokens and a budget of its own.
    """
    settings = {"tags": {"fresh_for": "0s", "missing_for": "0s"}}
    names = ["docker.io", *(f"u{number}.test" for number in range(PLACES))]
    folder = tmp_path_factory.mktemp("doubting")
    with MirrorProcess(
        folder, dict.fromkeys(names, shared_hub.url), settings, workers=1
    ) as running:
        yield running


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """0, 1, 2 for the tests of a file."""
    return iter(range(PLACES))


@pytest.fixture
def place(
    doubting_mirror: MirrorProcess, shared_hub: FakeUpstream, numbers: Iterator[int]
) -> Iterator[str]:
    """The URL of an upstream behind `doubting_mirror` that no other test uses.

    After each test, `shared_hub` is restored.
    """
    shared_hub.journal.clear()
    yield f"{doubting_mirror.url}/v2/u{next(numbers)}.test"
    shared_hub.faults.clear()
    shared_hub.unhang()
    shared_hub.start()
    shared_hub.pulls_left = None
    shared_hub.referrers_supported = True


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a figure, which is printed after the run."""
    figures = request.config.stash.setdefault(FIGURES, [])
    name = request.node.name
    return lambda figure: figures.append(f"{name}: {figure}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what was measured."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.line(figure)
