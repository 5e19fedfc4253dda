"""Laws of the accounts of a running server: they follow the file, also after a failed read."""

import errno
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry.access.accounts import Accounts, format_accounts, make_token
from registry.access.accounts_file import LiveAccounts
from registry.store.file_watch import POLL

NOW = 1000.0


class Site:
    """A file with one token, and who follows it."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.path = folder / "accounts.json"
        self.token, self.secret = make_token("ci", [], 1.0)
        self.write(Accounts().add_token(self.token))
        self.live = LiveAccounts(self.path, lambda: self.now)

    def write(self, accounts: Accounts) -> None:
        """Replace the file."""
        self.path.with_suffix(".new").write_text(json.dumps(format_accounts(accounts)))
        self.path.with_suffix(".new").replace(self.path)

    def knows_token(self) -> bool:
        """Whether the token is one, after the next look at the file."""
        self.now += POLL
        return self.live.current.find_token(self.secret, self.now) is not None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_who_was_removed_stays_removed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if no descriptor was free at that moment; the log says it once."""

    def refuse(_: Path) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    site.write(Accounts())
    with capture_logs() as lines:
        with monkeypatch.context() as patch:
            patch.setattr("registry.access.accounts_file.read_small_json", refuse)
            assert [site.knows_token() for _ in range(3)] == [True] * 3

        assert not site.knows_token()

    events = [line["event"] for line in lines]
    assert events == ["accounts not read: the former ones stay", "accounts read again"]


def test_a_damaged_file_locks_out_nobody(site: Site) -> None:
    """The former accounts stay; a new damage is logged too."""
    with capture_logs() as lines:
        for content in ("{", "{", "[]"):
            site.path.write_text(content)
            assert site.knows_token()

    assert len(lines) == 2
    assert lines[0]["why"] != lines[1]["why"]


def test_without_a_file_there_are_no_accounts(site: Site) -> None:
    """Who deletes the file has removed everybody."""
    site.path.unlink()

    assert not site.knows_token()
