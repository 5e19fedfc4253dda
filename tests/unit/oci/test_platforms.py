"""Laws of platforms: how they are written, which of them match, and how documents name them."""

import json
import platform as machines

import pytest

from registry.errors import PlatformInvalid
from registry.oci.digest import Digest
from registry.oci.platforms import (
    is_for_another,
    matches,
    own_platform,
    parse_platform,
    read_platform,
    read_platforms,
)

ONE, TWO, THREE = (str(Digest.of(name)) for name in (b"1", b"2", b"3"))


def write_index(*platforms: object) -> bytes:
    digests = (ONE, TWO, THREE)
    entries = [
        {"digest": digest} | ({} if each is None else {"platform": each})
        for digest, each in zip(digests, platforms, strict=False)
    ]
    return json.dumps({"manifests": entries}).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("amd64", "linux/amd64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("windows/amd64", "windows/amd64"),
        ("s390x", "linux/s390x"),
        ("linux/386", "linux/386"),
        ("386", "linux/386"),
    ],
)
def test_platforms_are_read_as_people_write_them(text: str, expected: str) -> None:
    """A platform has two or three parts; an architecture alone means Linux."""
    assert parse_platform(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "linux/",
        "/amd64",
        "linux//v7",
        "a/b/c/d",
        "Linux/amd64",
        "linux/amd-64",
        "x y",
        "*",
    ],
)
def test_other_words_are_no_platforms(text: str) -> None:
    """A text outside of the grammar is refused, and the error has it."""
    with pytest.raises(PlatformInvalid) as caught:
        parse_platform(text)
    assert caught.value.platform == text


def test_an_index_says_which_manifest_is_for_what() -> None:
    """Each manifest of an index has the platform of its descriptor, with the variant."""
    index = write_index(
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "windows", "architecture": "amd64", "os.version": "10.0.1"},
    )
    assert read_platforms(index) == {
        ONE: "linux/amd64",
        TWO: "linux/arm/v7",
        THREE: "windows/amd64",
    }


@pytest.mark.parametrize(
    "described",
    [
        None,
        "linux/amd64",
        [],
        {},
        {"os": "linux"},
        {"os": 1, "architecture": "amd64"},
        {"os": "", "architecture": "amd64"},
        {"os": "unknown", "architecture": "unknown"},
    ],
)
def test_what_is_for_no_platform_is_left_out(described: object) -> None:
    """Attestations, and descriptors without a valid platform, are left out."""
    index = write_index({"os": "linux", "architecture": "amd64"}, described)
    assert read_platforms(index) == {ONE: "linux/amd64"}


@pytest.mark.parametrize("index", [b"{}", b'{"manifests": []}', b'{"manifests": null}'])
def test_an_empty_index_is_for_nothing(index: bytes) -> None:
    """An index without manifests has no platforms."""
    assert read_platforms(index) == {}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (b'{"os": "linux", "architecture": "arm64", "variant": "v8"}', "linux/arm64/v8"),
        (b'{"os": "linux", "architecture": "amd64"}', "linux/amd64"),
        (b'{"architecture": "amd64"}', ""),
        (b"{}", ""),
        (b"[]", ""),
        (b"null", ""),
        (b"", ""),
        (b"\xff\xfe\x00", ""),
        (b"\x1f\x8b\x08 a layer that poses as a config", ""),
    ],
)
def test_a_config_may_say_its_platform(config: bytes, expected: str) -> None:
    """The platform of a config is read; a document that is not a config has none."""
    assert read_platform(config) == expected


def test_a_config_of_many_levels_says_nothing() -> None:
    """A config of too many levels has no platform, and is not an error."""
    assert read_platform(b"[" * 100_000) == ""


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm", "linux/arm/v6", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm", False),
        ("linux/arm", "linux/arm64", False),
        ("linux/arm64", "linux/arm", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "", False),
    ],
)
def test_a_variant_counts_where_it_is_asked_for(wanted: str, found: str, expected: bool) -> None:
    """Without a variant any variant matches, with one only that; parts are compared as a whole."""
    assert matches(wanted, found) is expected


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("i686", "linux/386"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_this_machine_is_named_as_images_do(
    monkeypatch: pytest.MonkeyPatch, machine: str, expected: str
) -> None:
    """The name of this machine is translated to that of the specification, which can be parsed."""
    monkeypatch.setattr(machines, "machine", lambda: machine)
    assert own_platform() == expected
    assert parse_platform(own_platform()) == expected


@pytest.mark.parametrize(
    ("config", "wanted", "expected"),
    [
        ("linux/amd64", ["linux/amd64"], False),
        ("linux/amd64", ["linux/arm64"], True),
        ("linux/amd64", ["linux/amd64", "linux/arm64"], True),
        ("linux/arm64/v8", ["linux/arm64"], False),
        ("linux/arm", ["linux/arm/v7"], False),
        ("linux/arm/v6", ["linux/arm/v7"], True),
        ("linux/amd64", [], False),
    ],
)
def test_an_image_may_be_for_another_platform(
    config: str, wanted: list[str], expected: bool
) -> None:
    """One platform that differs is enough; a config without a variant is for any variant."""
    assert is_for_another(config, wanted) == expected
