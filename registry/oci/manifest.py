"""Manifests and indexes, which are never changed (image-spec, manifest.md, image-index.md)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.errors import DigestInvalid, ManifestInvalid
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.platforms import map_platforms

MAX_MANIFEST = 4 * 1024 * 1024  # bytes; registries should accept that much (distribution-spec)
LARGE = 64 * 1024  # bytes; larger manifests are parsed in a thread, as others would have to wait
MAX_DESCRIPTORS = 10_000  # of one manifest; far more than any image has
MAX_COMMAS = 300_000  # of one document; each value but the first of a list has one before it
MAX_SIZE = 2**63 - 1  # bytes; the int64 of the specification
MAX_URLS = 10  # of one descriptor; one is enough to say where a blob is
MAX_URL = 1000  # characters

_FIELDS = frozenset(
    [
        "schemaVersion",
        "mediaType",
        "manifests",
        "layers",
        "config",
        "blobs",
        "subject",
        "artifactType",
        "annotations",
        "fsLayers",
        "digest",
        "size",
    ]
)
_FOREIGN = (".foreign.", ".nondistributable.")  # in media types of layers
_FOLDED_FIELDS = frozenset(field.casefold() for field in _FIELDS)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference from a manifest to a blob or to another manifest; `size` in bytes.

    `urls` are where the blob is besides the registry (image-spec, descriptor.md).
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """Whether the registry need not have the blob: clients download it from `urls`.

        The layers of older Windows images are foreign, because their license forbids copies.
        """
        return bool(self.urls) or any(word in self.media_type for word in _FOREIGN)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as stored: its bytes, and what they refer to.

    `children` are the manifests that an index lists, `blobs` the config and layers of an image, in
    order, each once. `layers` are all layers in order; one layer may occur twice. `platforms` has
    the platforms of the children that have a platform, by digest (as text). `artifact_type` and
    `annotations` are the fields for a referrers list.
    """

    raw: bytes
    digest: Digest
    media_type: str
    children: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str
    annotations: Mapping[str, str]
    layers: tuple[Digest, ...] = ()
    platforms: Mapping[str, str] = field(default_factory=dict)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


def parse_manifest(raw: bytes, content_type: str, digest: Digest | None = None) -> Manifest:
    """Read a manifest with the Content-Type `content_type`.

    `digest` is its digest; if it is None, the sha256 is computed. A document is refused if two
    clients could read different images from it: if a JSON key occurs twice or in another case, if
    it could be both an index and an image (CVE-2021-41190), or if `mediaType` differs from the
    header, or is missing although the type requires it.

    Raises:
        ManifestInvalid: see above; or it is not JSON, over 4 MiB, schema 1, or of an unknown type.
    """
    if len(raw) > MAX_MANIFEST:
        raise ManifestInvalid(f"{len(raw)} bytes, more than {MAX_MANIFEST}")
    document = _read_document(raw)
    media_type = _decide_media_type(document, media_types.strip_parameters(content_type))
    _refuse_ambiguity(document, media_type)
    children = tuple(_unique(_read_list(document.get("manifests"))))
    layers = _read_list(document.get("layers"))
    is_index = media_type in media_types.INDEXES
    blobs = () if is_index else tuple(_image_blobs(document, media_type, layers))
    if len(children) + len(blobs) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"more than {MAX_DESCRIPTORS} descriptors")
    subject = document.get("subject")
    return Manifest(
        raw=raw,
        digest=digest or Digest.of(raw),
        media_type=media_type,
        children=children,
        blobs=blobs,
        subject=_read_descriptor(subject) if subject is not None else None,
        artifact_type=_artifact_type(document),
        annotations=_read_annotations(document.get("annotations")),
        layers=tuple(each.digest for each in layers),
        platforms=map_platforms(document) if children else {},
    )


def _read_document(raw: bytes) -> dict[str, Any]:
    if raw.count(b",") > MAX_COMMAS:  # 4 MiB may be 1.4 million objects, which take seconds
        raise ManifestInvalid(f"more than {MAX_COMMAS} values")
    try:
        # Decoded here because `json` also accepts UTF-16, which no client reads.
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_refuse_duplicates)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"not a JSON document ({str(error)[:100]})") from error
    if not isinstance(document, dict):
        raise ManifestInvalid("not a JSON object")
    if document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise ManifestInvalid("schema 1, which current clients no longer read")
    _refuse_other_case(document)
    _refuse_surrogates(raw, document)
    return document


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ManifestInvalid("a JSON key appears twice")
    return found


def _refuse_other_case(found: Mapping[str, Any]) -> None:
    # Clients in Go ignore the case of keys, so they would read fields that this parser does not.
    for key in found.keys() - _FIELDS:
        if key.casefold() in _FOLDED_FIELDS:
            raise ManifestInvalid(f"the key {key[:30]!r} is a field of manifests in another case")


def _refuse_surrogates(raw: bytes, document: dict[str, Any]) -> None:
    # A JSON escape can be half of a surrogate pair, which cannot be stored as UTF-8.
    if b"\\ud" in raw.lower():
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as error:
            raise ManifestInvalid(
                "it has an escape that is not a character, or too many levels"
            ) from error


def _decide_media_type(document: dict[str, Any], content_type: str) -> str:
    declared = document.get("mediaType")
    if declared is not None and not isinstance(declared, str):
        raise ManifestInvalid("mediaType is not a string")
    if content_type not in media_types.MANIFESTS:
        raise ManifestInvalid(f"the content type {content_type[:100]!r} is not one of a manifest")
    if declared and declared != content_type:
        raise ManifestInvalid(
            f"its mediaType is {declared[:100]!r}, its Content-Type {content_type!r}"
        )
    return content_type


def _refuse_ambiguity(document: dict[str, Any], media_type: str) -> None:
    is_index = "manifests" in document
    is_image = "layers" in document or "config" in document or "blobs" in document
    if is_index and is_image:
        raise ManifestInvalid("it has the fields of an index and of an image")
    if (media_type in media_types.INDEXES) is not is_index:
        raise ManifestInvalid(f"its fields are not those of {media_type}")
    if not document.get("mediaType") and media_type not in media_types.WITHOUT_MEDIA_TYPE:
        # Otherwise the first Content-Type with these bytes would decide their type.
        raise ManifestInvalid(f"it has no mediaType, which {media_type} must have")


def _image_blobs(
    document: dict[str, Any], media_type: str, layers: Sequence[Descriptor]
) -> Iterator[Descriptor]:
    if media_type == media_types.OCI_ARTIFACT:
        return _unique(_read_list(document.get("blobs")))
    return _unique([_read_descriptor(document.get("config")), *layers])


def _unique(descriptors: Iterable[Descriptor]) -> Iterator[Descriptor]:
    seen: set[Digest] = set()
    for descriptor in descriptors:
        if descriptor.digest not in seen:
            seen.add(descriptor.digest)
            yield descriptor


def _read_list(value: object) -> list[Descriptor]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ManifestInvalid("a list of descriptors is not a list")
    if len(value) > MAX_DESCRIPTORS:
        raise ManifestInvalid(f"more than {MAX_DESCRIPTORS} descriptors")
    return [_read_descriptor(entry) for entry in value]


def _read_descriptor(entry: object) -> Descriptor:
    if not isinstance(entry, dict):
        raise ManifestInvalid("a descriptor is not an object")
    _refuse_other_case(entry)
    size, digest, media_type = entry.get("size"), entry.get("digest"), entry.get("mediaType", "")
    if type(size) is not int or not 0 <= size <= MAX_SIZE or not isinstance(media_type, str):
        raise ManifestInvalid("a descriptor has no valid size or media type")
    try:
        return Descriptor(
            media_type, Digest.parse(str(digest)), size, tuple(_read_urls(entry.get("urls")))
        )
    except DigestInvalid as error:
        raise ManifestInvalid(str(error)) from error


def _read_urls(value: object) -> Iterator[str]:
    """Yield the URLs that can be shown to people."""
    for url in value[:MAX_URLS] if isinstance(value, list) else ():
        if isinstance(url, str) and url.isascii() and url.isprintable() and len(url) <= MAX_URL:
            yield url


def _artifact_type(document: dict[str, Any]) -> str:
    # distribution-spec, "Listing Referrers": artifactType, or otherwise the config's media type.
    named = document.get("artifactType")
    if isinstance(named, str) and named:
        return named
    config = document.get("config")
    fallback = config.get("mediaType") if isinstance(config, dict) else None
    return fallback if isinstance(fallback, str) else ""


def _read_annotations(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}
