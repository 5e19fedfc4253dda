"""What the commands say that add accounts: how a token is used, and what is missing for a login."""

from pathlib import Path

import pytest

from tests.harness.commands import run_command
from tests.harness.planted import USER_PASSWORD

RULES = '[[access.rules]]\nwho = ["*"]\nallow = ["*"]\n'
ASKED = 'mode = "users"\nlogin_hosts = ["mirror.lan"]\n'


def add(folder: Path, access: str, *arguments: str) -> tuple[str, str]:
    """Add an account with these settings of access; return what stdout and stderr have."""
    config = folder / "entrepot.toml"
    config.write_text(f'[storage]\npath = "{folder}/data"\n[access]\n{access}')
    done = run_command(*arguments, "--config", str(config), stdin=USER_PASSWORD)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("access", "words"),
    [
        ("", 'access.mode is "open"'),
        (ASKED, "no rule allows anything"),
        (f'mode = "users"\n{RULES}', "write the name by which clients log in, such as login_hosts"),
    ],
)
def test_what_a_password_needs_is_told(tmp_path: Path, access: str, words: str) -> None:
    """Without a name to log in by, clients say that any password is right, and pull as nobody."""
    _, said = add(tmp_path, access, "users", "add", "alice", "--password-stdin")

    assert words in said


@pytest.mark.parametrize(
    ("access", "arguments"),
    [
        (f"{ASKED}{RULES}", ("users", "add", "alice", "--password-stdin")),
        (f'mode = "users"\n{RULES}', ("users", "add", "alice", "--no-password")),
        (f'mode = "users"\n{RULES}', ("tokens", "add", "ci")),
    ],
)
def test_what_needs_no_login_is_not_told(
    tmp_path: Path, access: str, arguments: tuple[str, ...]
) -> None:
    """A certificate and a token in the path need no name to log in by."""
    _, said = add(tmp_path, access, *arguments)

    assert "login_hosts" not in said


def test_a_token_comes_with_its_address(tmp_path: Path) -> None:
    """With the usual port: without one, clients would ask port 443."""
    shown, _ = add(tmp_path, f"{ASKED}{RULES}", "tokens", "add", "ci")
    token = shown.splitlines()[1].strip()

    assert f"https://MIRROR:5000/t/{token}/" in shown
