"""`entrepot upstreams test` against endpoints of all kinds: what it says, writes and returns."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.settings.loading import load_settings
from tests.fakes.upstream import Fault, Hang
from tests.harness.candidates import BROKEN, IMAGES, LAYER, WORKING, Candidates, open_candidates
from tests.harness.commands import run_command
from tests.harness.terminal import CTRL_C, TerminalProcess

TEST = ("upstreams", "test", *IMAGES)


@pytest.fixture(scope="module")
def candidates() -> Iterator[Candidates]:
    """All kinds of endpoints."""
    with open_candidates() as opened:
        yield opened


@pytest.fixture(scope="module")
def report(candidates: Candidates, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The JSON of a test of all of them, with the facts of each by its URL."""
    folder = tmp_path_factory.mktemp("report")
    config = candidates.write_settings(folder)
    done = run_command(*TEST, *candidates.others, "--json", "--config", str(config))
    assert (done.returncode, done.stderr) == (0, "")
    assert [each.name for each in folder.iterdir()] == ["entrepot.toml"]  # no data folder
    return json.loads(done.stdout)


def read_facts(report: dict[str, object], url: str) -> dict[str, object]:
    (found,) = [each for each in report["candidates"] if each["endpoint"] == url]  # type: ignore[attr-defined]
    return found


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


def test_the_best_order_is_written(candidates: Candidates, tmp_path: Path) -> None:
    """Only the list changes; comments stay, a copy is kept, and the file can be loaded."""
    config = candidates.write_settings(tmp_path)
    former = config.read_text()
    done = run_command(*TEST, candidates.urls["slow"], "--write", "--config", str(config))
    own, slow = candidates.own.url, candidates.urls["slow"]
    assert done.returncode == 0
    assert f"entrepot: wrote {config}; the former one is {config}.former" in done.stderr
    listed = f'[\n  "{own}",\n  "{slow}",\n]'
    assert config.read_text() == former.replace(f'["{own}"]', listed)
    assert f"{config} now has:\n" in done.stdout
    assert "write into" not in done.stdout
    assert Path(f"{config}.former").read_text() == former
    assert load_settings(config, {}).upstreams["docker.io"].endpoints == (own, slow)


def test_what_cannot_be_written_is_said(candidates: Candidates, tmp_path: Path) -> None:
    """A list with comments stays as it is; the lines to paste are there."""
    text = f'[upstreams."docker.io"]\nendpoints = [\n  "{candidates.own.url}", # mine\n]\n'
    config = tmp_path / "entrepot.toml"
    config.write_text(text)
    slow = candidates.urls["slow"]
    done = run_command(*TEST, slow, "--write", "--config", str(config))
    assert done.returncode == 1
    assert "nothing is written: the list has comments, which would be lost" in done.stderr
    assert f"write into {config}:\n" in done.stdout
    assert f'endpoints = [\n  "{candidates.own.url}",\n  "{slow}",\n]\n' in done.stdout
    assert config.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["entrepot.toml"]


def test_no_accelerator_becomes_the_one_that_gets_the_password(
    candidates: Candidates, tmp_path: Path
) -> None:
    """The only endpoint gets the password: such a list is not written, and this is said."""
    urls, password = candidates.urls, tmp_path / "password"
    password.write_text("s3cret")
    password.chmod(0o600)
    config = tmp_path / "entrepot.toml"
    login = f'username = "ann"\npassword_file = "{password}"\n'

    def write(mine: str) -> tuple[int, str, str]:
        config.write_text(f'[upstreams."docker.io"]\nendpoints = ["{urls[mine]}"]\n{login}')
        # The second one says the same digests as the first, but its bytes are wrong.
        words = (urls["slow"], urls["lies"], "--write", "--config", str(config))
        done = run_command(*TEST, *words)
        return done.returncode, done.stdout, done.stderr

    status, shown, said = write("old names")  # is left out, as its digest is not that of the others
    assert status == 1
    words = f"the password of docker.io would be sent to {urls['slow']}"
    assert f"nothing is written: {words}" in said
    assert words in shown
    assert urls["slow"] not in config.read_text()

    status, _, said = write("dead port")  # does not work now, but stays in the list
    assert status == 0, said
    endpoints = load_settings(config, {}).upstreams["docker.io"].endpoints
    assert endpoints == (urls["slow"], urls["dead port"])


def test_an_order_that_is_there_already_is_not_written(
    candidates: Candidates, tmp_path: Path
) -> None:
    """No copy is made of a file that does not change."""
    config = candidates.write_settings(tmp_path)
    done = run_command(*TEST, "--write", "--config", str(config))
    assert done.returncode == 0
    assert "the settings have this list already; nothing is written" in done.stderr
    assert "the settings have this order already:\n" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["entrepot.toml"]


def test_the_exit_code_is_about_those_that_are_named(
    candidates: Candidates, tmp_path: Path
) -> None:
    """One that works is enough, and the endpoints in the settings do not count beside others."""
    config = str(candidates.write_settings(tmp_path))
    dead, slow = candidates.urls["dead port"], candidates.urls["slow"]
    done = [run_command(*TEST, *named, "--config", config) for named in ((), (dead,), (dead, slow))]
    assert [each.returncode for each in done] == [0, 1, 0]
    words = "entrepot: none of the endpoints that you named works\n"
    assert [each.stderr for each in done] == ["", words, ""]


def test_without_the_registry_itself_most_are_right(candidates: Candidates, tmp_path: Path) -> None:
    """The own host is down: it stays, as the last one, and two that agree outvote the third."""
    urls = candidates.urls
    text = f'[upstreams."docker.io"]\nendpoints = ["{urls["dead port"]}"]\n'
    alias = urls["dead port"].partition("://")[2]
    config = tmp_path / "entrepot.toml"
    config.write_text(f'{text}aliases = ["{alias}"]\n')
    words = [urls[name] for name in ("slow", "no ranges", "old names")]
    done = run_command(*TEST, *words, "--json", "--config", str(config))
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert not found["own_works"]
    assert found["endpoints"] == [urls["no ranges"], urls["slow"], urls["dead port"]]
    assert read_facts(found, urls["old names"])["differs"] == ["library/small:1"]
    # All of them are at one host, and none could confirm what another says.
    assert (found["names"], found["trusted"]) == ("", [urls["no ranges"].partition("://")[2]])


def test_two_that_agree_are_written_with_their_order(
    candidates: Candidates, tmp_path: Path
) -> None:
    """Without it, nothing could be pulled where the registry itself is not reached."""
    dead, other = candidates.urls["dead port"], candidates.urls["slow"]
    config = tmp_path / "entrepot.toml"
    config.write_text(
        f'[upstreams."docker.io"]\nendpoints = ["{dead}"]\n'
        f'aliases = ["{dead.partition("://")[2]}"]\n'
    )
    local = candidates.urls["no ranges"].replace("127.0.0.1", "localhost")
    done = run_command(*TEST, local, other, "--write", "--config", str(config))
    assert done.returncode == 0, done.stderr
    upstream = load_settings(config, {}).upstreams["docker.io"]
    assert upstream.endpoints == (local, other, dead)
    assert (upstream.names, upstream.trusted) == ("agree", ())
    why = "# the registry is not reached: two mirrors must agree (docs/security.md)\n"
    assert f'{why}names = "agree"\n' in config.read_text()
    assert f'{why}names = "agree"\n' in done.stdout


def test_the_only_one_that_works_is_written_as_trusted(
    candidates: Candidates, tmp_path: Path
) -> None:
    """Nobody could agree with it, and it alone decides what a tag means."""
    dead, slow = candidates.urls["dead port"], candidates.urls["slow"]
    config = tmp_path / "entrepot.toml"
    config.write_text(
        f'[upstreams."docker.io"]\nendpoints = ["{dead}"]\n'
        f'aliases = ["{dead.partition("://")[2]}"]\n'
    )
    done = run_command(*TEST, slow, "--write", "--config", str(config))
    assert done.returncode == 0, done.stderr
    upstream = load_settings(config, {}).upstreams["docker.io"]
    assert upstream.trusted == (slow.partition("://")[2],)
    assert "# which image a tag means, and could give you another one" in config.read_text()


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
