"""Any input is read as a bundle, or refused with a reason."""

import io
import json
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry.bundle.format.canonical_json import encode_with_digest
from registry.bundle.format.lock import Lock, LockedImage, parse_lock
from registry.bundle.format.tar import BLOCK, write_header
from registry.bundle.format.volumes import parse_volume
from registry.bundle.read.head import find_contradictions, open_bundle, parse_without_raw
from registry.bundle.read.open import open_paths
from registry.bundle.read.sources import TarSource
from registry.bundle.read.verify import verify
from registry.errors import BundleInvalid
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Descriptor
from registry.oci.names import Tag, parse_repository
from tests.harness.bundles import write_tar

LOCK = Lock("complete", (), {}, ((Digest.of(b"x"), 1),))
GOOD = write_tar([("bundle.json", LOCK.raw), (f"blobs/sha256/{Digest.of(b'x').encoded}", b"x")])
DEEP = b"[" * 1_000_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
FIELDS = st.sampled_from([*json.loads(LOCK.raw), "number", "count", "parts"])


def read(raw: bytes) -> str:
    """Verify bytes as a stream; return what is wrong, as text."""
    try:
        return str(verify(open_bundle(TarSource(io.BytesIO(raw), "fuzz"))).wrong)
    except BundleInvalid as error:
        return str(error)


@given(st.binary(max_size=4 * BLOCK))
@example(bytes(BLOCK))
def test_any_bytes_are_refused(raw: bytes) -> None:
    """Bytes that are not a bundle are refused with one line."""
    assert "\n" not in read(raw)
    assert read(raw)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
def test_bytes_changed_anywhere_are_read(changes: list[tuple[int, int]]) -> None:
    """A bundle with changed bytes is verified, or refused."""
    raw = bytearray(GOOD)
    for place, value in changes:
        raw[place] = value
    read(bytes(raw))


@given(st.dictionaries(FIELDS, JSON, max_size=5))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_document_is_a_lock_or_refused(changes: dict[str, object]) -> None:
    """Any JSON in place of a document is read, or refused."""
    fields = json.loads(LOCK.raw) | changes
    fields.pop("bundleId")
    for parse, key in ((parse_lock, "bundleId"), (lambda raw: parse_volume(raw, ""), "volumeId")):
        try:
            parse(encode_with_digest(key, fields)[1])  # type: ignore[operator]
        except (BundleInvalid, UnicodeEncodeError):  # halves of characters are none of ours
            continue


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(write_tar([("bundle.json", DEEP)]), id="deep JSON"),
        pytest.param(write_header("bundle.json", 1 << 40), id="a head of a TiB"),
        pytest.param(write_tar([("README.txt", b"")] * 100_000), id="a hundred thousand members"),
        pytest.param(
            write_tar([("bundle.json", LOCK.raw), *[("blobs/sha256/" + "0" * 64, b"")] * 100_000]),
            id="a hundred thousand strangers",
        ),
        pytest.param(write_tar([("bundle.json", LOCK.raw), ("../evil", b"x")]), id="a way out"),
        pytest.param(write_tar([("/etc/passwd", b"x")]), id="an absolute way"),
    ],
)
def test_excessive_input_is_refused_quickly(raw: bytes) -> None:
    """Input that would need very much time or memory is refused within a second and a few MiB."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        assert read(raw) != "[]"
        assert time.monotonic() - began < 5
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_too_many_manifests_are_refused() -> None:
    """A lock whose manifests exceed the memory limit is refused before any manifest is read."""
    blobs = [(Digest.of(str(number).encode()), 4 * 1024 * 1024) for number in range(100)]
    kinds = {digest: media_types.OCI_MANIFEST for digest, _ in blobs}
    lock = Lock("complete", (), dict(sorted(kinds.items())), tuple(blobs))
    assert "manifests have more than" in read(write_tar([("bundle.json", lock.raw)]))


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """No file outside of a bundle's folder is read."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    folder = tmp_path / "bundle"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "bundle.json").write_bytes(LOCK.raw)
    (folder / "blobs" / "sha256" / Digest.of(b"x").encoded).symlink_to(secret)

    with open_paths([folder]) as opened:
        verdict = verify(opened)
        foreign = opened.source.flaws.foreign

    assert "it is a link" in foreign, "another program has changed the bundle: all of it is refused"
    assert [str(each.digest) for each in verdict.missing] == [str(Digest.of(b"x"))]
    assert verdict.wrong


def make_index(child: Descriptor, architecture: str = "") -> bytes:
    entry: dict[str, object] = {
        "mediaType": child.media_type,
        "digest": str(child.digest),
        "size": child.size,
    }
    if architecture:
        entry["platform"] = {"os": "linux", "architecture": architecture}
    fields = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
    return json.dumps(fields).encode()


def test_manifests_have_to_agree_with_the_lock() -> None:
    """A size, media type or depth that differs from bundle.json is listed under the manifest."""
    inner = Descriptor(media_types.OCI_MANIFEST, Digest.of(b"inner"), 5)
    raws = [make_index(inner)]
    for _ in range(10):
        raws.append(
            make_index(Descriptor(media_types.OCI_INDEX, Digest.of(raws[-1]), len(raws[-1])))
        )
    manifests = {
        Digest.of(raw): parse_without_raw(raw, media_types.OCI_INDEX, Digest.of(raw))
        for raw in raws
    }
    root = Descriptor(media_types.OCI_INDEX, Digest.of(raws[-1]), len(raws[-1]) + 1)
    image = LockedImage(parse_repository("docker.io/library/a"), Tag("1"), root)
    blobs = [(Digest.of(raw), len(raw)) for raw in raws]
    kinds = dict.fromkeys(manifests, media_types.OCI_INDEX)
    lock = Lock("complete", (image,), kinds, tuple(blobs))

    found = find_contradictions(lock, manifests)

    assert "bytes by the manifest" in found[root.digest][0]
    assert "levels of indexes" in found[root.digest][-1]


@pytest.mark.parametrize(
    ("claimed", "is_there", "count"),
    [
        ("linux/arm64", True, 0),
        ("linux/amd64", True, 1),
        ("linux/arm64", False, 1),
    ],
)
def test_the_lock_has_to_agree_with_the_index(claimed: str, is_there: bool, count: int) -> None:
    """A platform in bundle.json has to be in the index, and its manifest in the bundle."""
    child = Descriptor(media_types.OCI_MANIFEST, Digest.of(b"child"), 5)
    raw = make_index(child, "arm64")
    index = parse_without_raw(raw, media_types.OCI_INDEX, Digest.of(raw))
    root = Descriptor(media_types.OCI_INDEX, index.digest, len(raw))
    image = LockedImage(parse_repository("docker.io/library/a"), Tag("1"), root, (claimed,))
    kinds = {index.digest: media_types.OCI_INDEX}
    blobs = [(index.digest, len(raw))]
    if is_there:
        kinds[child.digest] = child.media_type
        blobs.append((child.digest, child.size))
    lock = Lock("subset", (image,), kinds, tuple(blobs))

    found = find_contradictions(lock, {index.digest: index})

    output = [why for whys in found.values() for why in whys]
    assert output == [f"bundle.json lists {claimed}, and the index does not"] * count


@given(st.binary(min_size=1, max_size=200))
def test_the_refusal_names_the_file(raw: bytes) -> None:
    """A file that is not a bundle is refused with its name."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        with pytest.raises(BundleInvalid, match=file.name), open_paths([Path(file.name)]):
            pass
