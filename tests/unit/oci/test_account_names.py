"""Laws of the names of users, tokens and groups."""

import pytest

from registry.errors import InvalidInput
from registry.oci.account_names import check_name, is_group, is_who


@pytest.mark.parametrize("name", ["a", "ci-1", "team.build_2", "x" * 64])
def test_names(name: str) -> None:
    """Small letters and digits, with marks between them; a rule can write each name."""
    assert check_name(name) == name
    assert is_group(name)
    assert is_who(name)
    assert is_who(f"@{name}")


@pytest.mark.parametrize("name", ["", "Alice", "a b", "-a", "a-", "@dev", "anonymous", "x" * 65])
def test_no_names(name: str) -> None:
    """What means something else in a rule, or in a log, cannot be a name."""
    with pytest.raises(InvalidInput):
        check_name(name)


@pytest.mark.parametrize(("word", "expected"), [("*", True), ("anonymous", True), ("@", False)])
def test_words_of_rules(word: str, expected: bool) -> None:
    """A rule may also mean everybody, and those who have not logged in."""
    assert is_who(word) is expected
