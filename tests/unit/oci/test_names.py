"""Laws of names, tags and references."""

import pytest

from registry.errors import DigestInvalid, NameInvalid, TagInvalid
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag, parse_name, parse_reference, parse_registry

DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    "name",
    ["a", "library/nginx", "a.b_c__d-e---f/0", "a/b/c/d/e", "1", "a" * 255, "/".join("a" * 128)],
)
def test_name_is_accepted(name: str) -> None:
    """A repository name follows the grammar of the specification, with at most 255 characters."""
    assert name == parse_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/a", "a/", "a//b", "A", "a/B", "ä", "a b", "a\n", "a\0"),
        *(".", "..", "../a", "a/../b", "a..b", "a._b", "a___b", "a-", "-a", "_a", "a.", "a/-b"),
        *("a:b", "a@b", "a%2fb", "a\\b", "a" * 256),
    ],
)
def test_name_is_refused(name: str) -> None:
    """A text that could leave its folder, or be read in two ways, is not a repository name."""
    with pytest.raises(NameInvalid) as error:
        parse_name(name)
    assert name == error.value.name


@pytest.mark.parametrize(
    "registry",
    ["docker.io", "localhost", "h:5000", "registry.k8s.io", "my_registry", "127.0.0.1:80", "a--b"],
)
def test_registry_is_accepted(registry: str) -> None:
    """A registry is a host in lower case, with or without a port."""
    assert registry == parse_registry(registry)


@pytest.mark.parametrize(
    "registry",
    [
        *("", ".", "..", "a..b", ".a", "a.", "-a", "a-", "A", "a/b", "a:", "a:b", "a:123456"),
        *(":5000", "a b", "a\n", "https://a", "u@a", "ä", "a" * 256),
    ],
)
def test_registry_is_refused(registry: str) -> None:
    """No other text is a registry, so no other text becomes a folder or a host."""
    with pytest.raises(NameInvalid):
        parse_registry(registry)


@pytest.mark.parametrize("tag", ["latest", "_", "A.b-c_d", "1.27", "v" * 128])
def test_tag_is_accepted(tag: str) -> None:
    """A tag is at most 128 letters, digits and . _ -"""
    assert Tag(tag) == parse_reference(tag)
    assert tag == str(parse_reference(tag))


@pytest.mark.parametrize(
    "tag", ["", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "ä", "a+b", "v" * 129, "../a", "a\0"]
)
def test_tag_is_refused(tag: str) -> None:
    """No other text is a tag, so no other text becomes the name of a file."""
    with pytest.raises(TagInvalid) as error:
        parse_reference(tag)
    assert tag == error.value.tag


def test_colon_makes_a_digest() -> None:
    """A reference with a colon is a digest, or it is refused."""
    assert parse_reference(str(DIGEST)) == DIGEST
    with pytest.raises(DigestInvalid):
        parse_reference("a:b")


def test_repository_is_printed_with_its_registry() -> None:
    """The text of a repository is its registry and its name, as in references."""
    assert str(Repository("docker.io", "library/nginx")) == "docker.io/library/nginx"
