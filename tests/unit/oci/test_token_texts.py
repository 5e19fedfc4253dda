"""Laws of tokens in texts: where a name belongs they are refused, and they are never shown."""

import pytest

from registry.errors import TokenMisplaced
from registry.oci.token_texts import mask_tokens, refuse_tokens

SECRET = "abcdefgh" * 4
SPELLINGS = [
    f"ent_abcd2345_{SECRET}",
    f"t/ent_abcd2345_{SECRET}/library/app",
    f"a-ent_abcd2345_{SECRET}",
    f"xent_abcd2345_{SECRET}",
    f"ENT_ABCD2345_{SECRET.upper()}",
    f"%65nt_abcd2345_{SECRET}",
    f"ent%5fabcd2345%5F{SECRET}",
    f"ent%255fabcd2345_{SECRET}",
    f"ent_abcd2345_%61{SECRET[1:]}",
    f"ent_abcd2345_{SECRET[:-3]}",  # cut off
    f"ent_abcd2345_{SECRET}ab",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_token_is_found_in_every_spelling(text: str) -> None:
    """As a client may write it into a path; it is refused, and nothing of its secret is logged."""
    with pytest.raises(TokenMisplaced):
        refuse_tokens(text)
    masked = mask_tokens(text)
    assert "ent_********" in masked
    assert SECRET[-8:] not in masked.lower()


@pytest.mark.parametrize(
    "text",
    [
        "library/app",
        "acme/client_abc",
        "acme/agent_frontend_0123456789abcdef0123456789abcdef01234567",
        "acme/agent_linux_20261130123456",
        "acme/ent_server_20261130123456abcdefabcdef",
        "100%",
    ],
)
def test_names_of_images_are_no_tokens(text: str) -> None:
    """An image whose name looks a little like a token can be pulled."""
    refuse_tokens(text)


@pytest.mark.parametrize("text", ["", "library/app", "a%20b", "100%", "\n"])
def test_what_has_no_token_is_not_changed(text: str) -> None:
    """Also not its escapes."""
    assert mask_tokens(text) == text
