"""Laws of image patterns: names are read as docker reads them, and globs as a shell does."""

import pytest

from registry.errors import InvalidInput
from registry.oci.digest import Digest
from registry.oci.image_patterns import ImagePattern, is_pattern, parse_image
from registry.oci.names import Repository, Tag, format_image
from registry.oci.registries import Registries

DIGEST = Digest.of(b"manifest")
LAN_NAME = "registry.lan:5000"
HUB, LAN = Registries("docker.io"), Registries(LAN_NAME)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/library/nginx:1", "docker.io/library/nginx:1"),
        ("ghcr.io/team/app:v1", "ghcr.io/team/app:v1"),
        ("registry.lan:5000/app", "registry.lan:5000/app:latest"),
        ("registry.lan:5000/a/b:2", "registry.lan:5000/a/b:2"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("localhostess/app", "docker.io/localhostess/app:latest"),
    ],
)
def test_names_are_completed_as_docker_does(text: str, expected: str) -> None:
    """A first part with a dot, a port, or `localhost` is a registry; the default is Docker Hub."""
    assert format_image(*parse_image(text, HUB)) == expected


def test_another_default_has_no_library() -> None:
    """Only names of Docker Hub are completed with `library`."""
    assert parse_image("nginx", LAN) == (Repository(LAN_NAME, "nginx"), Tag("latest"))
    assert parse_image("a/b:1", LAN) == (Repository(LAN_NAME, "a/b"), Tag("1"))


KNOWN = Registries.of(
    "docker.io", {"docker.io": ["index.docker.io", "hub"], "registry.lan:5000": ["registry.lan"]}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("hub/nginx:1", "docker.io/library/nginx:1"),
        ("registry.lan/team/app:1", "registry.lan:5000/team/app:1"),
        ("registry.lan:5000/team/app:1", "registry.lan:5000/team/app:1"),
        ("registry.lan:80/team/app:1", "registry.lan:80/team/app:1"),
        ("hub:1", "docker.io/library/hub:1"),
        ("team/hub:1", "docker.io/team/hub:1"),
    ],
)
def test_an_alias_means_its_registry(text: str, expected: str) -> None:
    """As in a pull, the first part of a name may be an alias; the name is the registry's own."""
    assert format_image(*parse_image(text, KNOWN)) == expected
    pattern = ImagePattern.parse(text, KNOWN)
    assert pattern.matches(*expected.rsplit(":", 1))


@pytest.mark.parametrize(
    ("glob", "meant"),
    [
        ("registry.lan/*", "registry.lan:5000/team/app"),
        ("registry.lan/team/a*:1", "registry.lan:5000/team/app"),
        ("index.docker.io/ng*", "docker.io/library/nginx"),
        ("hub/*", "docker.io/team/app"),
    ],
)
def test_a_glob_may_begin_with_an_alias(glob: str, meant: str) -> None:
    """A glob under an alias matches the images under the registry's own name, and no others."""
    pattern = ImagePattern.parse(glob, KNOWN)
    assert pattern.matches(meant, "1")
    assert not pattern.matches("ghcr.io/team/app", "1")


@pytest.mark.parametrize("name", ["nginx", "nginx:1.27", "docker.io/library/nginx:old"])
def test_a_digest_wins_over_a_tag(name: str) -> None:
    """With a digest, the tag before it is ignored."""
    expected = (Repository("docker.io", "library/nginx"), DIGEST)
    assert parse_image(f"{name}@{DIGEST}", HUB) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "Nginx", "nginx:-1", "nginx:a b", "nginx@sha256:12", "a//b", "/nginx", "nginx/", "*"],
)
def test_other_names_are_refused(text: str) -> None:
    """A text outside of the grammar is refused."""
    with pytest.raises(InvalidInput):
        parse_image(text, HUB)


@pytest.mark.parametrize(
    ("typed", "meant", "not_meant"),
    [
        ("nginx", ["docker.io/library/nginx:1", "docker.io/library/nginx:2"], ["ghcr.io/nginx:1"]),
        ("nginx:1.*", ["docker.io/library/nginx:1.27"], ["docker.io/library/nginx:2.0"]),
        ("*", ["docker.io/a/b:1", "localhost/a:1"], []),
        ("*:1", ["docker.io/a/b:1", "ghcr.io/x:1"], ["docker.io/a/b:2"]),
        ("*/nginx", ["docker.io/library/nginx:1", "ghcr.io/nginx:1"], ["docker.io/nginxes:1"]),
        ("ghcr.io/*", ["ghcr.io/a:1", "ghcr.io/a/b/c:1"], ["docker.io/ghcr.io:1"]),
        ("team/*:v?", ["docker.io/team/app:v1"], ["docker.io/team/app:v10"]),
        ("registry.lan:*/app", ["registry.lan:5000/app:1"], ["registry.lan/app:1"]),
        ("localhost:5000/*", ["localhost:5000/a/b:1"], ["localhost/a:1", "localhost:50001/a:1"]),
        ("docker.io/*", ["docker.io/library/a:1", "docker.io/team/b:1"], ["ghcr.io/a:1"]),
        ("docker.io/**", ["docker.io/library/a:1", "docker.io/team/b:1"], []),
        ("docker.io/*:*", ["docker.io/library/a:1", "docker.io/team/b:1"], []),
        ("docker.io/te*", ["docker.io/team/b:1", "docker.io/library/test:1"], ["docker.io/a/te:1"]),
        ("docker*/*", ["docker.io/library/a:1", "docker.io/team/b:1"], ["ghcr.io/a:1"]),
        ("d*", ["docker.io/team/b:1", "docker.io/library/debian:1"], ["ghcr.io/debian:1"]),
        ("ngin[xy]", ["docker.io/library/nginx:1"], ["docker.io/team/nginx:1"]),
        ("?gin", ["docker.io/library/ngin:1"], ["docker.io/library/engin:1"]),
        ("localhost/app:[12]", ["localhost/app:1"], ["localhost/app:3"]),
    ],
)
def test_globs_match_names(typed: str, meant: list[str], not_meant: list[str]) -> None:
    """A star matches any characters, also slashes; a port is not a tag; names are completed."""
    pattern = ImagePattern.parse(typed, HUB)
    found = [name for name in meant + not_meant if pattern.matches(*name.rsplit(":", 1))]
    assert found == meant


def test_globs_complete_the_default_registry() -> None:
    """A short name belongs to the default registry, which has no `library/`."""
    pattern = ImagePattern.parse("te*", LAN)
    assert pattern.matches(f"{LAN_NAME}/team/app", "1")
    assert not pattern.matches("docker.io/library/test", "1")
    assert ImagePattern.parse("docker.io/te*", LAN).matches("docker.io/library/test", "1")


def test_a_digest_may_be_a_glob_too() -> None:
    """A digest matches itself, and the beginning of a digest with a star all that begin so."""
    digest = str(DIGEST)
    for typed in (f"nginx@{digest}", f"nginx@{digest[:20]}*", f"nginx:1@{digest}"):
        pattern = ImagePattern.parse(typed, HUB)
        assert pattern.matches("docker.io/library/nginx", digest)
        assert not pattern.matches("docker.io/library/nginx", "latest")


@pytest.mark.parametrize(
    "typed", ["nginx@*", "*@*", "nginx@sha256:*", f"nginx@{DIGEST.encoded[:9]}*"]
)
def test_a_glob_of_digests_matches_no_tag(typed: str) -> None:
    """After an `@`, a glob means digests, also if it has no name of a hash function."""
    pattern = ImagePattern.parse(typed, HUB)
    assert pattern.matches("docker.io/library/nginx", str(DIGEST))
    assert not pattern.matches("docker.io/library/nginx", "1.27")


def test_tags_have_a_case() -> None:
    """Tags that differ by case are different, whatever the file system does."""
    pattern = ImagePattern.parse("nginx:RC*", HUB)
    assert pattern.matches("docker.io/library/nginx", "RC1")
    assert not pattern.matches("docker.io/library/nginx", "rc1")


@pytest.mark.parametrize(("text", "expected"), [("nginx:1", False), ("a*", True), ("[a]", True)])
def test_a_pattern_has_a_special_character(text: str, expected: bool) -> None:
    """Only stars, question marks and brackets make a pattern."""
    assert is_pattern(text) is expected
    assert is_pattern(text.replace("*", "?")) is expected
