"""`entrepot upstreams test` against endpoints of all kinds: what it says, writes and returns."""

import json
import re
from pathlib import Path

import pytest

from tests.fakes.upstream import Fault, Hang
from tests.harness.candidates import BROKEN, IMAGES, LAYER, WORKING, Candidates, read_facts
from tests.harness.commands import run_command
from tests.harness.terminal import CTRL_C, TerminalProcess

TEST = ("upstreams", "test", *IMAGES)


@pytest.fixture(scope="module")
def report(candidates: Candidates, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The JSON of a test of all of them, with the facts of each by its URL."""
    folder = tmp_path_factory.mktemp("report")
    config = candidates.write_settings(folder)
    done = run_command(*TEST, *candidates.others, "--json", "--config", str(config))
    assert (done.returncode, done.stderr) == (0, "")
    assert [each.name for each in folder.iterdir()] == ["entrepot.toml"]  # no data folder
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BROKEN)
def test_each_failure_has_its_step_and_reason(
    candidates: Candidates, report: dict[str, object], name: str
) -> None:
    """Nobody has to repeat by hand what the command has found out."""
    facts = read_facts(report, candidates.urls[name])
    step, why = BROKEN[name]
    assert (facts["works"], facts["failed"]) == (False, step)
    assert why in str(facts["why"])


@pytest.mark.parametrize("name", WORKING)
def test_what_works_is_measured(
    candidates: Candidates, report: dict[str, object], name: str
) -> None:
    """Each step has its time, and the estimate follows from the first byte and the rate."""
    facts = read_facts(report, candidates.urls[name])
    steps = {"connection", "/v2/", "token", "tags", "range", "download"}
    assert steps <= {*facts["steps"]}  # type: ignore[misc]
    assert facts["works"]
    assert facts["ranges"] == (name != "no ranges")
    assert (facts["total"] is None) == (name == "no ranges")
    rate = max(facts["rate"], facts["total"] or 0)  # type: ignore[call-overload]
    estimate = facts["first_byte"] + 100 * 2**20 / rate  # type: ignore[operator]
    assert facts["seconds"] == pytest.approx(estimate)


def test_the_fastest_is_first(candidates: Candidates, report: dict[str, object]) -> None:
    """The slow one comes after the others that work, and those that fail come last."""
    order = [each["endpoint"] for each in report["candidates"]]  # type: ignore[attr-defined]
    works = [each["works"] for each in report["candidates"]]  # type: ignore[attr-defined]
    assert works == sorted(works, reverse=True)
    assert order[len(WORKING) - 1] == candidates.urls["slow"]


def test_who_says_another_digest_is_left_out(
    candidates: Candidates, report: dict[str, object]
) -> None:
    """The registry itself is right; the endpoint works, but it must not say what a tag means."""
    facts = read_facts(report, candidates.urls["old names"])
    assert facts["differs"] == ["library/small:1"]
    good = {candidates.urls[name] for name in ("own", "no ranges", "slow")}
    assert {*report["endpoints"]} == good  # type: ignore[misc]
    assert report["own_works"]


def test_pulls_are_not_spent(candidates: Candidates, report: dict[str, object]) -> None:
    """One manifest is asked for by GET in all: by digest, and at one endpoint."""
    assert report["layer"]["size"] == len(LAYER)  # type: ignore[index]
    asked = [each for each in candidates.own.journal.of("manifest") if each.method == "GET"]
    assert all("sha256:" in each.path for each in asked)


def test_a_terminal_of_80_columns_shows_it_all(candidates: Candidates, tmp_path: Path) -> None:
    """Each endpoint, each reason, the list to paste: in lines that fit, with digests shortened."""
    config = candidates.write_settings(tmp_path)
    listed = tmp_path / "mirrors.txt"
    listed.write_text("# from a forum\n" + "\n".join(f"{url}  # ?" for url in candidates.others))
    with TerminalProcess(*TEST, "--from", str(listed), "--config", str(config)) as terminal:
        assert terminal.wait() == 0
        shown = terminal.text
    flat = " ".join(shown.split())
    assert all(url in shown for url in candidates.urls.values())
    assert "answers with a web page (a captive portal?)" in flat
    assert "of library/small:1 it gives another digest than the registry itself" in flat
    assert re.search(r"\(sha256:[0-9a-f]{12}, and not sha256:[0-9a-f]{12}\)", flat.replace("…", ""))
    assert f"write into {config}" in flat
    results = shown[shown.index("100 MiB  FIRST BYTE") :].splitlines()
    long = [line for line in results if len(line) > 80]
    assert all(line.startswith("  /") for line in long), long


def test_ctrl_c_shows_what_is_known(candidates: Candidates, tmp_path: Path) -> None:
    """An endpoint that does not answer is waited for; the others are shown after Ctrl-C."""
    config = candidates.write_settings(tmp_path)
    dead = candidates.urls["dead port"]
    hang = candidates.own.faults.add(Fault("manifest", Hang(), times=None))
    try:
        with TerminalProcess(*TEST, dead, "--config", str(config)) as terminal:
            terminal.wait_for(r"1 of 2 measured")
            terminal.press(CTRL_C)
            assert terminal.wait() == 130, terminal.text
            assert "interrupted; this is what is known so far" in terminal.text
            assert "Connection refused" in " ".join(terminal.text.split())
            assert f"not measured: {candidates.own.url}" in terminal.text
    finally:
        candidates.own.faults.clear()
    assert hang.applied


def test_one_that_is_too_slow_is_given_up(candidates: Candidates, tmp_path: Path) -> None:
    """Each endpoint has a time limit, which is named in the reason."""
    config = candidates.write_settings(tmp_path)
    candidates.own.faults.add(Fault("manifest", Hang(), times=None))
    try:
        words = ("--limit", "1s", "--json", "--config", str(config))
        done = run_command(*TEST, *words)
    finally:
        candidates.own.faults.clear()
    (facts,) = json.loads(done.stdout)["candidates"]
    assert done.returncode == 1
    assert (facts["failed"], facts["why"]) == ("tags", "not done within 1 s")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("mirror.example.net",),
            'is not a URL of http or https; write "https://mirror.example.net"',
        ),
        (("https://u:p@h.example",), "credentials do not belong in a URL"),
        (("--from", "/nosuch/file"), "/nosuch/file: cannot be read (No such file or directory)"),
        (("--upstream", "nosuch.example"), "there is no upstream 'nosuch.example'"),
        (("--image", "ghcr.io/a/b:1"), "ghcr.io/a/b:1 is not an image of docker.io"),
        (("--image", "UPPER:1"), "invalid repository name"),
        (("--limit", "0s"), "'0s' is not between 1s and 1h"),
        (("--limit", "soon"), "is not a duration"),
    ],
)
def test_wrong_words_are_usage_errors(
    candidates: Candidates, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """The message says what to write, and nothing is asked."""
    config = candidates.write_settings(tmp_path)
    done = run_command("upstreams", "test", *words, "--config", str(config))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_all_wrong_lines_of_a_file_are_named(candidates: Candidates, tmp_path: Path) -> None:
    """A list from stdin has line numbers too."""
    config = candidates.write_settings(tmp_path)
    words = ("upstreams", "test", "--from", "-", "--config", str(config))
    done = run_command(*words, stdin="# mirrors\n\nhttps://docker.io\na.example\n")
    assert done.returncode == 2
    assert "stdin:4: 'a.example' is not a URL of http or https; write \"https://a" in done.stderr
    assert "stdin:3: 'https://docker.io' is a web site; write \"https://registry-1" in done.stderr


def test_offline_means_that_nobody_is_asked(candidates: Candidates, tmp_path: Path) -> None:
    """The setting counts for this command too."""
    config = tmp_path / "entrepot.toml"
    config.write_text("offline = true\n")
    done = run_command("upstreams", "test", "--config", str(config))
    assert done.returncode == 2
    assert "no upstream is asked while offline = true" in done.stderr
