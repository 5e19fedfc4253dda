"""A while of fuzzing finds nothing; what it finds would be seen."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import targets

MINUTES = [pytest.mark.soak, pytest.mark.timeout(600)]
LENGTHS = [3, pytest.param(330, marks=MINUTES)]  # seconds; all targets together take an hour
IS_BUILT = (sys.platform, platform.machine()) == ("linux", "x86_64")


@pytest.mark.skipif(not IS_BUILT, reason="the fuzzer is built for Linux on x86-64 only")
@pytest.mark.parametrize("seconds", LENGTHS)
@pytest.mark.parametrize("target", targets.TARGETS)
def test_nothing_is_found(
    target: str, seconds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it makes of right examples is read or refused, in time and in little memory."""
    (corpus := tmp_path / "corpus").mkdir()
    limits = [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=10", "-rss_limit_mb=1024"]
    # The fuzzer counts the most memory of what has started it, too. So a small shell starts it in a
    # process of its own, as the shell has something to do afterwards.
    shell = ["sh", "-c", '"$@"; exit $?', "fuzz"]
    command = [*shell, sys.executable, "-m", "tests.fuzz", target, str(corpus), *limits]
    done = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 100,
    )
    # What failed, with its traceback, is in stdout; the input that did it is in stderr.
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None, done.stderr[-4000:]
    further = len(list(corpus.iterdir()))
    with capsys.disabled():
        sys.stdout.write(f"\nfuzz {target}: {runs[1]} runs, {further} inputs led further\n")
    assert further, "it got nowhere"


@pytest.mark.parametrize("error", [KeyError("size"), OSError("odd"), ValueError("a\nb")])
def test_what_is_not_declared_is_found(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """An error that is no refusal of ours leaves the target, and so ends the fuzzer."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(targets, "verify", fail)
    (whole, *_) = targets.TARGETS["archives"].seeds()
    with targets.TARGETS["archives"].open() as look, pytest.raises(type(error)):
        look(whole)


def test_seeds_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Every target takes its seeds; archives survive being built again unchanged."""
    for target in targets.TARGETS.values():
        with target.open() as look:
            for seed in target.seeds():
                look(seed)
    for archive in targets.TARGETS["archives"].seeds():
        assert targets.rebuild(archive) == archive
    assert capsys.readouterr().out == ""
