"""Laws of signed tokens: nobody but this mirror can make one, or change one."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.access.signed_tokens import KEY_LENGTH, Statement, TokenSigner, open_key
from registry.errors import StoreError

NOW = 1_800_000_000.0
STATEMENT = Statement("alice", "f" * 16, frozenset({"docker.io/a", "ghcr.io/b"}), NOW + 300)
SIGNER = TokenSigner(b"k" * KEY_LENGTH)


def test_what_was_signed_is_read_again() -> None:
    """Until it ends."""
    token = SIGNER.sign(STATEMENT)

    assert SIGNER.read(token, NOW) == STATEMENT
    assert SIGNER.read(token, NOW + 300) is None


def test_another_key_signs_other_tokens() -> None:
    """A token of another mirror is none of ours."""
    assert TokenSigner(b"other" * 8).read(SIGNER.sign(STATEMENT), NOW) is None


@given(st.data())
def test_a_changed_token_is_none(data: st.DataObject) -> None:
    """Whichever character is changed."""
    token = SIGNER.sign(STATEMENT)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("aA0.-_é\0 ").filter(lambda each: each != token[place]))

    assert SIGNER.read(token[:place] + other + token[place + 1 :], NOW) is None


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """It is no token, and no error."""
    assert SIGNER.read(text, NOW) is None
    assert SIGNER.read(f"ens1.{text}", NOW) is None


def test_a_signature_has_one_form() -> None:
    """Two texts for one token would be found twice in what is remembered by text."""
    body, _, signature = SIGNER.sign(STATEMENT).rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=")

    assert SIGNER.read(f"{body}.{base64.b64encode(raw).decode()}", NOW) is None


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """Other users of the machine cannot read it."""
    path = tmp_path / "token.key"

    made = open_key(path)

    assert len(made) == KEY_LENGTH
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_key(path) == made
    assert [each.name for each in tmp_path.iterdir()] == ["token.key"]


def test_a_key_that_is_cut_is_refused(tmp_path: Path) -> None:
    """With a part of a key, anybody could sign."""
    path = tmp_path / "token.key"
    path.write_bytes(b"short")

    with pytest.raises(StoreError, match="delete it"):
        open_key(path)
