"""docs/bundle-format.md agrees with the code: its examples are read by the code for bundles."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from registry.bundle.format import inventory, lock, volumes
from registry.bundle.format.canonical_json import encode
from registry.bundle.format.head_files import write_head
from registry.bundle.format.tar import write_header
from registry.bundle.read import head, sources
from registry.oci import manifest
from registry.oci.digest import Digest

TEXT = (Path(__file__).resolve().parents[2] / "docs/bundle-format.md").read_text(encoding="utf-8")


def read_example(name: str) -> bytes:
    """Return the example of a file as canonical JSON, without its white space."""
    (found,) = re.findall(rf"```json {re.escape(name)}\n(.*?)```", TEXT, re.DOTALL)
    return encode(json.loads(found))


def read_limits() -> Mapping[str, int]:
    rows = re.findall(
        r"^\| (.*?) \| (\d+)(?: bytes)? \|$", TEXT.split("## Limits")[1], re.MULTILINE
    )
    return {what: int(most) for what, most in rows}


def test_the_lock_is_as_it_is_described() -> None:
    """The example of the lock is read, has the right id, and every field is explained."""
    raw = read_example("bundle.json")
    found = lock.parse_lock(raw)
    assert found.raw == raw
    assert found.images[0].missing == ("linux/arm64",)
    document = json.loads(raw)
    unexplained = {
        each for each in document if f"`{each}`" not in TEXT and f"`{each}[]`" not in TEXT
    }
    unexplained |= {key for key in document["images"][0] if f".{key}`" not in TEXT}
    assert unexplained == set()


def test_volumes_are_as_they_are_described() -> None:
    """The example of `volume.json` belongs to the bundle of the other example."""
    found = volumes.parse_volume(read_example("volume.json"), "the example")
    bundle = lock.parse_lock(read_example("bundle.json"))
    (part,) = found.parts.values()
    assert found.bundle_id == bundle.bundle_id
    assert part.whole == bundle.blobs[-1][1]


def test_inventory_and_need_are_as_described() -> None:
    """Inventory and need are written as in their examples, and the lock has the inventory's id."""
    bundle = lock.parse_lock(read_example("bundle.json"))
    raw, need = read_example("inventory.json"), read_example("need.json")
    assert inventory.write_inventory(bundle.omitted) == raw
    assert inventory.read_inventory(need, "the example").images == (bundle.images[0].name,)
    assert inventory.write_need(bundle.bundle_id, [bundle.images[0].name], bundle.omitted) == need


def test_limits_are_those_of_the_code() -> None:
    """The table of limits has the values of the code."""
    assert read_limits() == {
        "`bundle.json`, and each other small file": lock.MAX_LOCK,
        "small files together": sources.MAX_SMALL_FILES,
        "a manifest": manifest.MAX_MANIFEST,
        "all manifests together": lock.MAX_MANIFESTS,
        "indexes within indexes": head.MAX_DEPTH,
        "descriptors of a manifest": manifest.MAX_DESCRIPTORS,
        "volumes": volumes.MAX_COUNT,
        "`inventory.json`, `need.json`": inventory.MAX_SIZE,
    }
    assert sources.MAX_SMALL == lock.MAX_LOCK


def test_headers_say_name_and_size_and_nothing_else() -> None:
    """A header has mode 0644, no owner and no time; a large size is in a pax record."""
    header = write_header("bundle.json", 5)
    assert (len(header), header[100:108], header[108:116]) == (512, b"0000644\0", b"0000000\0")
    assert (header[136:148], header[156:157], header[257:265]) == (
        b"0" * 11 + b"\0",
        b"0",
        b"ustar\x0000",
    )
    assert header[265:329] == bytes(64)
    name = f"blobs/sha512/{'a' * 128}"
    assert [len(write_header(name, 8 * 2**30 - 1)), len(write_header("README.txt", 8 * 2**30))] == [
        3 * 512,
        3 * 512,
    ]


def test_files_come_as_they_are_listed() -> None:
    """The files are written in the order of the table."""
    bundle = lock.Lock("subset", (), {}, ((Digest.of(b""), 0),))
    listed = re.findall(r"^\| `([^`/]+)` \| ", TEXT.split("## Canonical")[0], re.MULTILINE)
    listed.remove("bundle.json.sig")
    assert list(write_head(bundle, {})) == listed
