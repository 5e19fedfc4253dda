"""Laws of the grammars: text that follows the specification is accepted, other text is not."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import DigestInvalid, InvalidInput, NameInvalid, TagInvalid
from registry.oci.digest import Digest
from registry.oci.names import MAX_NAME, Tag, parse_name, parse_reference, parse_registry

WORD = string.ascii_lowercase + string.digits
HEX = "0123456789abcdef"

words = st.text(WORD, min_size=1, max_size=8)
separators = st.sampled_from([".", "_", "__"]) | st.text("-", min_size=1, max_size=4)


@st.composite
def build_segments(draw: st.DrawFn) -> str:
    r"""Follow distribution-spec: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*."""
    text = draw(words)
    for _ in range(draw(st.integers(0, 3))):
        text += draw(separators) + draw(words)
    return text


names = (
    st.lists(build_segments(), min_size=1, max_size=5)
    .map("/".join)
    .filter(lambda name: len(name) <= MAX_NAME)
)
tags = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters + string.digits + "_"),
    st.text(string.ascii_letters + string.digits + "._-", max_size=127),
)
digests = st.builds("sha256:{}".format, st.text(HEX, min_size=64, max_size=64)) | st.builds(
    "sha512:{}".format, st.text(HEX, min_size=128, max_size=128)
)
foreign = st.characters(exclude_characters=string.ascii_letters + string.digits + "._-/:")


def insert(text: str, place: float, piece: str) -> str:
    at = round(place * len(text))
    return text[:at] + piece + text[at:]


places = st.floats(0, 1)


@given(names)
def test_names_are_accepted(name: str) -> None:
    """Every name that the grammar generates is accepted without a change."""
    assert name == parse_name(name)


@given(names, places, foreign)
def test_names_with_a_foreign_character_are_refused(name: str, place: float, piece: str) -> None:
    """A name or tag with a character outside of the alphabet is refused."""
    with pytest.raises(NameInvalid):
        parse_name(insert(name, place, piece))


@given(names, st.sampled_from(["/", "-", ".", "_"]), st.booleans())
def test_names_do_not_begin_or_end_with_a_separator(name: str, mark: str, front: bool) -> None:
    """A name that begins or ends with a separator is refused."""
    with pytest.raises(NameInvalid):
        parse_name(mark + name if front else name + mark)


@given(names, words, st.sampled_from(["//", "..", "._", "___", "-_", "/-", "./", "_/"]))
def test_other_separators_are_refused(name: str, word: str, mark: str) -> None:
    """Several separators in a row are refused, except for hyphens and two underscores."""
    with pytest.raises(NameInvalid):
        parse_name(f"{word}{mark}{name}")


@given(names, st.data())
def test_names_are_in_lower_case(name: str, data: st.DataObject) -> None:
    """A name with one upper-case letter is refused."""
    upper = insert(name, data.draw(places), data.draw(st.sampled_from(string.ascii_uppercase)))
    with pytest.raises(NameInvalid):
        parse_name(upper)


@given(st.text(max_size=300))
def test_accepted_names_are_safe_paths(text: str) -> None:
    """An accepted name has no part that is empty or begins with a dot."""
    try:
        name = parse_name(text)
    except NameInvalid:
        return
    assert all(re.match("[a-z0-9]", part) for part in name.split("/"))
    assert ".." not in name


@given(tags)
def test_tags_are_accepted(tag: str) -> None:
    """Every tag that the grammar generates is accepted without a change."""
    assert Tag(tag) == parse_reference(tag)
    assert tag == str(parse_reference(tag))


@given(tags, places, foreign | st.just("/"))
def test_tags_with_a_foreign_character_are_refused(tag: str, place: float, piece: str) -> None:
    """A name or tag with a character outside of the alphabet is refused."""
    with pytest.raises(TagInvalid):
        parse_reference(insert(tag, place, piece))


@given(tags, st.sampled_from(".-"))
def test_tags_do_not_begin_with_a_mark(tag: str, mark: str) -> None:
    """A tag does not begin with a dot or a hyphen, as hidden files and options do."""
    with pytest.raises(TagInvalid):
        parse_reference(mark + tag)


@given(digests)
def test_digests_are_accepted(text: str) -> None:
    """Every digest is read without a change, alone and as a reference."""
    assert text == str(Digest.parse(text))
    assert parse_reference(text) == Digest.parse(text)


@given(digests, st.data())
def test_mutated_digests_are_refused(text: str, data: st.DataObject) -> None:
    """A digest with a character too many, too few, or not hexadecimal is refused."""
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_characters=HEX + text[at]))
    mutated = data.draw(
        st.sampled_from([text[:at] + text[at + 1 :], insert(text, at / len(text), "0")])
        | st.just(text[:at] + other + text[at + 1 :])
    )
    with pytest.raises(DigestInvalid):
        Digest.parse(mutated)


@given(st.binary(max_size=200), st.sampled_from(["sha256", "sha512"]))
def test_digest_of_content_reads_the_same(content: bytes, algorithm: str) -> None:
    """The digest of any content can be parsed, and matches that content."""
    digest = Digest.parse(str(Digest.of(content, algorithm)))

    assert digest.matches(content)
    assert not digest.matches(content + b"\0")


@given(st.text(max_size=300))
def test_nothing_else_is_raised(text: str) -> None:
    """Any text is accepted, or refused with a message of one printable line."""
    said: list[str] = []
    for parse in (parse_name, parse_registry, parse_reference, Digest.parse):
        try:
            parse(text)
        except InvalidInput as error:
            said.append(str(error))

    assert all(sentence.isprintable() for sentence in said)
