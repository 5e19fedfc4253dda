"""Laws of a function that runs in a child process."""

import os
import pickle
import sys
from functools import partial
from pathlib import Path

import pytest

from registry.errors import CatalogLost, EntrepotError, SettingsError
from registry.server.forked_call import ForkedCall


def test_a_value_comes_back() -> None:
    """It is that of another process, and that process has ended."""
    call = ForkedCall(lambda: (os.getpid(), {"a": b"x" * 200_000}))

    child, value = call.wait()

    assert child != os.getpid()
    assert value == {"a": b"x" * 200_000}
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_is_imported_is_not_imported_here() -> None:
    """That is what it is for."""

    def work() -> bool:
        import this  # noqa: F401, PLC0415

        return "this" in sys.modules

    with Path(os.devnull).open("w") as nothing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", nothing)  # the module prints a poem
        assert ForkedCall(work).wait()

    assert "this" not in sys.modules


def test_an_error_comes_back() -> None:
    """With all that it says."""

    def work() -> None:
        raise SettingsError("server.listen", "it is taken", "write another", "/etc/entrepot.toml:3")

    with pytest.raises(SettingsError) as error:
        ForkedCall(work).wait()

    assert error.value.key == "server.listen"
    assert str(error.value) == "/etc/entrepot.toml:3: server.listen: it is taken; write another"


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (2, 2), (None, 0), ("a text", 1)], ids=repr)
def test_an_exit_is_an_exit(code: object, expected: int) -> None:
    """Help was printed, or a fault."""
    with pytest.raises(SystemExit) as end:
        ForkedCall(partial(sys.exit, code)).wait()

    assert end.value.code == expected


def test_a_crash_is_an_exit_with_a_trace(capfd: pytest.CaptureFixture[str]) -> None:
    """The child says why."""
    with pytest.raises(SystemExit) as end:
        ForkedCall(lambda: 1 // 0).wait()

    assert end.value.code == 1
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        SettingsError("a", "b", "c"),
        CatalogLost("/data/catalog.db", "malformed"),
        EntrepotError("x"),
    ],
    ids=repr,
)
def test_errors_can_be_sent(error: EntrepotError) -> None:
    """An error is the same in another process."""
    same = pickle.loads(pickle.dumps(error))

    assert type(same) is type(error)
    assert (str(same), vars(same)) == (str(error), vars(error))
