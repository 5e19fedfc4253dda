"""Laws of manifests: what is read from them, and which of them are refused."""

import json
from typing import Any

import pytest

from registry.errors import ManifestInvalid
from registry.oci import media_types as types
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_DESCRIPTORS, MAX_MANIFEST, Descriptor, parse_manifest

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
SCHEMA_1 = [f"application/vnd.docker.distribution.manifest.v1+{s}" for s in ("json", "prettyjws")]


def describe(name: str, media_type: str = LAYER, **changes: object) -> dict[str, Any]:
    digest = str(Digest.of(name.encode()))
    return {"mediaType": media_type, "digest": digest, "size": len(name)} | changes


def expect(name: str, media_type: str = LAYER) -> Descriptor:
    return Descriptor(media_type, Digest.of(name.encode()), len(name))


def image(**changes: object) -> dict[str, Any]:
    config, layers = describe("config", CONFIG), [describe("one"), describe("two")]
    return {"schemaVersion": 2, "config": config, "layers": layers} | changes


def index(**changes: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": [describe("amd64", types.OCI_MANIFEST)]} | changes


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


def refuse(document: object, content_type: str = types.OCI_MANIFEST) -> str:
    raw = document if isinstance(document, bytes) else encode(document)
    with pytest.raises(ManifestInvalid) as error:
        parse_manifest(raw, content_type)
    return error.value.why


@pytest.mark.parametrize("content_type", [types.OCI_MANIFEST, types.DOCKER_MANIFEST])
def test_image(content_type: str) -> None:
    """The blobs of an image are its config and layers, in order; its bytes do not change."""
    raw = json.dumps(image(mediaType=content_type), indent=3).encode()

    manifest = parse_manifest(raw, content_type)

    assert manifest.raw == raw
    assert manifest.digest == Digest.of(raw)
    assert manifest.blobs == (expect("config", CONFIG), expect("one"), expect("two"))
    assert manifest.children == ()
    assert manifest.subject is None
    assert manifest.descriptor == Descriptor(content_type, Digest.of(raw), len(raw))


@pytest.mark.parametrize("content_type", [types.OCI_INDEX, types.DOCKER_LIST])
def test_index(content_type: str) -> None:
    """The children of an index are its manifests, and it has no blobs."""
    manifest = parse_manifest(encode(index(mediaType=content_type)), content_type)

    assert manifest.children == (expect("amd64", types.OCI_MANIFEST),)
    assert manifest.blobs == ()


def test_artifact_manifest() -> None:
    """The blobs of an artifact manifest are those in its field `blobs`."""
    document = {
        "mediaType": types.OCI_ARTIFACT,
        "blobs": [describe("sbom")],
        "artifactType": "application/spdx+json",
    }

    manifest = parse_manifest(encode(document), types.OCI_ARTIFACT)

    assert manifest.blobs == (expect("sbom"),)
    assert manifest.artifact_type == "application/spdx+json"


def test_content_type_is_read_without_parameters() -> None:
    """Parameters and upper case in the Content-Type are ignored."""
    manifest = parse_manifest(encode(image()), types.OCI_MANIFEST.upper() + "; charset=utf-8")

    assert manifest.media_type == types.OCI_MANIFEST


def test_given_digest_is_kept() -> None:
    """A manifest that was requested by sha512 keeps that digest."""
    digest = Digest.of(encode(image()), "sha512")

    assert digest == parse_manifest(encode(image()), types.OCI_MANIFEST, digest).digest


def test_repeated_layers_count_once() -> None:
    """A layer that is in a manifest twice is one blob."""
    document = image(layers=[describe("one"), describe("two"), describe("one")])

    assert len(parse_manifest(encode(document), types.OCI_MANIFEST).blobs) == 3


def test_subject_and_annotations() -> None:
    """Subject, artifact type, and the annotations that are text are read."""
    document = image(
        subject=describe("image", types.OCI_MANIFEST),
        artifactType="application/x",
        annotations={"a": "b", "number": 5},
    )

    manifest = parse_manifest(encode(document), types.OCI_MANIFEST)

    assert manifest.subject == expect("image", types.OCI_MANIFEST)
    assert manifest.artifact_type == "application/x"
    assert manifest.annotations == {"a": "b"}


@pytest.mark.parametrize("changes", [{}, {"artifactType": ""}, {"artifactType": 5}])
def test_artifact_type_falls_back_to_the_config(changes: dict[str, object]) -> None:
    """The default artifact type is the media type of the config (distribution-spec, referrers)."""
    assert parse_manifest(encode(image(**changes)), types.OCI_MANIFEST).artifact_type == CONFIG


def test_index_without_anything() -> None:
    """An index without manifests is valid."""
    manifest = parse_manifest(encode(index(manifests=[])), types.OCI_INDEX)

    assert (manifest.children, manifest.artifact_type, manifest.annotations) == ((), "", {})


@pytest.mark.parametrize("content_type", [types.OCI_MANIFEST, types.OCI_INDEX, types.DOCKER_LIST])
@pytest.mark.parametrize("extra", ["layers", "config", "blobs"])
def test_ambiguous_document_is_refused(content_type: str, extra: str) -> None:
    """A document that could be an index and an image is refused (CVE-2021-41190)."""
    assert "index and of an image" in refuse(index(**{extra: None}), content_type)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), types.OCI_INDEX),
        (image(), types.DOCKER_LIST),
        (index(), types.OCI_MANIFEST),
        (index(), types.OCI_ARTIFACT),
        ({}, types.OCI_INDEX),
    ],
)
def test_fields_must_fit_the_type(document: object, content_type: str) -> None:
    """An image is not served as an index, nor an index as an image."""
    assert "its fields are not those of" in refuse(document, content_type)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"config": {}, "config": {}}',
        b'{"config": {"digest": 1, "digest": 2}}',
        b'{"annotations": {"a": "b", "\\u0061": "c"}}',
    ],
)
def test_duplicate_keys_are_refused(raw: bytes) -> None:
    """A key that is there twice is refused, at any depth: clients differ in which one they read."""
    assert refuse(raw) == "a JSON key appears twice"


@pytest.mark.parametrize(
    "document",
    [
        image(Layers=[]),
        image(CONFIG={}),
        index(Config={}),
        index() | {"layer\u017f": []},
        image(config=describe("config", CONFIG, Digest="sha256:0")),
        image(layers=[describe("one", SIZE=5)]),
        image(subject=describe("image", MediaType="x")),
    ],
)
def test_fields_in_another_case_are_refused(document: object) -> None:
    """A key in another case is refused: clients that ignore case would read it."""
    content_type = (
        types.OCI_INDEX if "manifests" in encode(document).decode() else types.OCI_MANIFEST
    )

    assert "in another case" in refuse(document, content_type)


@pytest.mark.parametrize("name", ["Config", "SIZE", "a.B", "a.b"])
def test_annotations_may_have_any_name(name: str) -> None:
    """The names of annotations may be anything."""
    document = image(annotations={name: "x", name.swapcase(): "y"})

    assert len(parse_manifest(encode(document), types.OCI_MANIFEST).annotations) == 2


@pytest.mark.parametrize(
    "declared", [types.DOCKER_MANIFEST, types.OCI_INDEX, "text/html", 5, ["x"]]
)
def test_media_type_must_not_contradict(declared: object) -> None:
    """A document whose `mediaType` differs from the Content-Type is refused."""
    assert "mediaType" in refuse(image(mediaType=declared))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/html", "application/json", "*/*", LAYER, *SCHEMA_1],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    """A Content-Type that is not one of manifests is refused."""
    assert "is not one of a manifest" in refuse(image(), content_type)


@pytest.mark.parametrize("document", [image(schemaVersion=1), image(fsLayers=[])])
def test_schema_1_is_refused(document: object) -> None:
    """Schema 1 is refused with any Content-Type."""
    assert "schema 1" in refuse(document)


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"null", b"[]", b"5", b'"x"', b"<html>", b"{", b"{}{}", b"\xff", b'{"a": "\xff"}'),
        *(b'{"a":' * 100_000, b"[" * 1_000_000, b'{"a": ' + b"9" * 5000 + b"}"),
        b'\xef\xbb\xbf{"schemaVersion": 2}',
        '{"schemaVersion": 2}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    """A login page, a document of too many levels, or a part of a document is refused."""
    assert "not a JSON" in refuse(raw)


def test_half_surrogate_pairs_are_refused() -> None:
    """A manifest with text that cannot be stored as UTF-8 is refused."""
    assert "character" in refuse(image(annotations={"a": "\ud800"}))
    assert parse_manifest(encode(image(annotations={"a": "\U0001f600"})), types.OCI_MANIFEST)


def test_size_is_limited() -> None:
    """A manifest of four MiB is read, and one byte more is refused."""
    raw = encode(image())
    padded = raw + b" " * (MAX_MANIFEST - len(raw))

    assert len(parse_manifest(padded, types.OCI_MANIFEST).raw) == MAX_MANIFEST
    assert f"more than {MAX_MANIFEST}" in refuse(padded + b" ")


@pytest.mark.parametrize("excess", [0, 1])
def test_descriptors_are_limited(excess: int) -> None:
    """A manifest of ten thousand descriptors is read, and one more is refused."""
    children = [describe(str(number), "x") for number in range(MAX_DESCRIPTORS + excess)]
    raw = encode(index(manifests=children))

    if excess:
        assert "descriptors" in refuse(raw, types.OCI_INDEX)
    else:
        assert len(parse_manifest(raw, types.OCI_INDEX).children) == MAX_DESCRIPTORS


def test_config_counts_as_a_descriptor() -> None:
    """Ten thousand layers and a config are refused."""
    layers = [describe(str(number), "x") for number in range(MAX_DESCRIPTORS)]

    assert "descriptors" in refuse(image(layers=layers))


@pytest.mark.parametrize(
    "descriptor",
    [
        *(None, "x", 5, [], {}),
        describe("one", size=-1),
        describe("one", size=1.0),
        describe("one", size=True),
        describe("one", size="1"),
        describe("one", size=None),
        describe("one", size=2**63),
        describe("one", mediaType=5),
        describe("one", digest=None),
        describe("one", digest="sha256:abc"),
        describe("one", digest="md5:" + "0" * 32),
        describe("one", digest="sha256:../../etc/passwd"),
    ],
)
@pytest.mark.parametrize("place", ["config", "layers", "subject"])
def test_bad_descriptor_is_refused(descriptor: object, place: str) -> None:
    """Every descriptor has a digest, a size in the allowed range, and a media type that is text."""
    if place == "subject" and descriptor is None:
        return  # a subject may be null: there is none
    value = [descriptor] if place == "layers" else descriptor

    assert "digest" in (why := refuse(image(**{place: value}))) or "descriptor" in why


@pytest.mark.parametrize("value", [5, "x", {"a": 1}])
def test_list_of_descriptors_is_a_list(value: object) -> None:
    """A field for descriptors that is not a list is refused."""
    assert "not a list" in refuse(image(layers=value))
    assert "not a list" in refuse(index(manifests=value), types.OCI_INDEX)
