"""Laws of the memory of manifests: bounded, least recently used first, by generations."""

import json

import pytest

from registry.mirror.manifest_memory import OVERHEAD, KnownManifest, ManifestMemory
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.names import Repository, Tag

HERE = Repository("docker.io", "library/a")
THERE = Repository("docker.io", "library/b")
ENTRY = OVERHEAD + 3000  # bytes, a little more than one of the manifests below costs


def make(padding: int = 0, layers: int = 0) -> KnownManifest:
    layer = {"mediaType": "x", "size": 1}
    described = [
        layer | {"digest": str(Digest.of(bytes([n % 256, n // 256])))} for n in range(layers)
    ]
    document = {"config": layer | {"digest": str(Digest.of(b"c"))}, "layers": described}
    raw = json.dumps(document | {"annotations": {"pad": "x" * padding}}).encode()
    return KnownManifest(parse_manifest(raw, media_types.OCI_MANIFEST), 1.0)


def test_what_was_put_is_there() -> None:
    """A manifest is found under the repository and reference with which it was put."""
    memory, known = ManifestMemory(10**6), make()
    memory.put(HERE, Tag("1"), known, memory.generation)

    assert known is memory.get(HERE, Tag("1"))
    assert memory.get(HERE, Tag("2")) is None
    assert memory.get(THERE, Tag("1")) is None


def test_newer_one_replaces() -> None:
    """A second `put` replaces the entry."""
    memory, newer = ManifestMemory(10**6), make(1)
    memory.put(HERE, Tag("1"), make(), memory.generation)
    memory.put(HERE, Tag("1"), newer, memory.generation)
    assert newer is memory.get(HERE, Tag("1"))


def test_a_new_generation_keeps_what_was_parsed() -> None:
    """A new generation has all former entries, but none is current until it is put again."""
    memory, known = ManifestMemory(10**6), make()
    memory.put(HERE, Tag("1"), known, memory.generation)
    assert known is memory.get_current(HERE, Tag("1"))

    memory.begin_generation()
    assert known is memory.get(HERE, Tag("1"))
    assert memory.get_current(HERE, Tag("1")) is None

    memory.put(HERE, Tag("1"), known, memory.generation)
    assert known is memory.get_current(HERE, Tag("1"))
    assert memory.get_current(HERE, Tag("2")) is None


def test_what_was_read_before_a_change_is_not_current() -> None:
    """An entry that was looked up before a new generation began does not belong to it."""
    memory, known = ManifestMemory(10**6), make()
    generation = memory.generation
    memory.begin_generation()

    memory.put(HERE, Tag("1"), known, generation)

    assert known is memory.get(HERE, Tag("1"))
    assert memory.get_current(HERE, Tag("1")) is None


def test_least_recently_asked_goes_first() -> None:
    """When the limit is reached, the least recently used entry is removed."""
    memory = ManifestMemory(2 * ENTRY)
    memory.put(HERE, Tag("1"), make(2000), memory.generation)
    memory.put(HERE, Tag("2"), make(2000), memory.generation)
    memory.get(HERE, Tag("1"))

    memory.put(HERE, Tag("3"), make(2000), memory.generation)

    assert memory.get(HERE, Tag("2")) is None
    assert memory.get(HERE, Tag("1")) is not None
    assert memory.get(HERE, Tag("3")) is not None


@pytest.mark.parametrize(("padding", "layers"), [(0, 0), (30_000, 0), (0, 200)])
def test_memory_is_bounded(padding: int, layers: int) -> None:
    """The entries never take more than the limit."""
    memory, limit = ManifestMemory(200_000), 200_000
    known = make(padding, layers)
    for number in range(200):
        memory.put(HERE, Tag(str(number)), known, memory.generation)

    kept = [number for number in range(200) if memory.get(HERE, Tag(str(number)))]

    assert kept == list(range(kept[0], 200))
    assert len(kept) * len(known.manifest.raw) < limit


def test_too_large_a_manifest_is_not_kept() -> None:
    """A manifest that is larger than the limit is removed at once."""
    memory = ManifestMemory(ENTRY)
    memory.put(HERE, Tag("1"), make(10 * ENTRY), memory.generation)
    assert memory.get(HERE, Tag("1")) is None
    memory.put(HERE, Tag("2"), make(), memory.generation)
    assert memory.get(HERE, Tag("2")) is not None


def test_replacing_costs_nothing_more() -> None:
    """Putting the same entry again and again uses no more bytes."""
    memory = ManifestMemory(3 * ENTRY)
    memory.put(HERE, Tag("1"), make(), memory.generation)
    for _ in range(50):
        memory.put(HERE, Tag("2"), make(), memory.generation)
    assert memory.get(HERE, Tag("1")) is not None
