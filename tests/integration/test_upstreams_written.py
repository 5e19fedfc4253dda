"""`entrepot upstreams test --write`: what it writes into the settings, and what it refuses to."""

import json
from pathlib import Path

from registry.settings.loading import load_settings
from tests.harness.candidates import IMAGES, Candidates, read_facts
from tests.harness.commands import run_command
from tests.harness.planted import UPSTREAM_PASSWORD

TEST = ("upstreams", "test", *IMAGES)


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
    password.write_text(UPSTREAM_PASSWORD)
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


def write_dead_registry(folder: Path, url: str) -> Path:
    """Write settings in which the registry itself, at `url`, is the only endpoint."""
    config = folder / "entrepot.toml"
    config.write_text(
        f'[upstreams."docker.io"]\nendpoints = ["{url}"]\naliases = ["{url.partition("://")[2]}"]\n'
    )
    return config


def test_two_that_agree_are_written_with_their_order(
    candidates: Candidates, tmp_path: Path
) -> None:
    """Without it, nothing could be pulled where the registry itself is not reached."""
    dead, other = candidates.urls["dead port"], candidates.urls["slow"]
    config = write_dead_registry(tmp_path, dead)
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
    config = write_dead_registry(tmp_path, dead)
    done = run_command(*TEST, slow, "--write", "--config", str(config))
    assert done.returncode == 0, done.stderr
    upstream = load_settings(config, {}).upstreams["docker.io"]
    assert upstream.trusted == (slow.partition("://")[2],)
    assert "# which image a tag means, and could give you another one" in config.read_text()
