"""The facts of the page of one image: platforms, layers, history, and who has pulled it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from registry.errors import ManifestInvalid
from registry.oci import media_types, platforms
from registry.oci.manifest import Descriptor, Manifest, parse_manifest
from registry.reports.console.images import ImageRow
from registry.reports.tag_history import TagReport


@dataclass(frozen=True, slots=True)
class LayerReport:
    """A blob of an image: its size in bytes, and whether it is stored here."""

    digest: str
    media_type: str
    size: int
    stored: bool


@dataclass(frozen=True, slots=True)
class PlatformDetail:
    """One platform of an image; `platform` is empty if the image names none.

    `known` says whether its manifest is stored; otherwise its layers are not known. `stored` and
    `size` are bytes: those that are stored, and all.
    """

    platform: str
    digest: str
    known: bool
    size: int
    stored: int
    layers: Sequence[LayerReport]

    @property
    def is_complete(self) -> bool:
        """Whether its manifest and all blobs are stored."""
        return self.known and all(each.stored for each in self.layers)


@dataclass(frozen=True, slots=True)
class PullReport:
    """When a client last pulled an image, and by which tag or digest (epoch seconds).

    `client` is empty if no address was recorded.
    """

    client: str
    reference: str
    pulled: float


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """All about one image.

    `frees` are the bytes that its removal would free; None if a pin keeps it, whose name is
    `kept_by`. `history` is None for an image that has no tag. `warning` is what clients are told
    about the tag; `bundle` is the id of the bundle that it was imported from, and otherwise empty.
    `others` are the other tags of the repository.
    """

    image: ImageRow
    media_type: str
    seen: float
    frees: int | None
    kept_by: str
    platforms: Sequence[PlatformDetail]
    history: TagReport | None
    pulls: Sequence[PullReport]
    others: Sequence[str]
    warning: str
    bundle: str
    is_configured: bool


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a download of an image will fetch, as far as it is known here.

    `missing` bytes are not here of those of `platforms` whose manifest is here. `is_whole` says
    that all of these manifests are here, so that it is all if the name means the same upstream.
    """

    platforms: Sequence[str]
    missing: int
    is_whole: bool


def plan_fetch(detail: ImageDetail | None, asked: str, pinned: Sequence[str]) -> FetchPlan:
    """Return what will be fetched for the platform `asked`, or, if it is empty, for those in use.

    These are the platforms that are stored or pinned, or else that of this machine. `detail` is
    None if nothing is known of the image.
    """
    found = () if detail is None else detail.platforms
    in_use = {*pinned, *(each.platform for each in found if each.is_complete)} - {""}
    chosen = [asked] if asked else sorted(in_use) or [platforms.own_platform()]
    wanted = [
        each
        for each in found
        if each.platform == "" or any(platforms.matches(name, each.platform) for name in chosen)
    ]
    missing = sum(each.size - each.stored for each in wanted)
    is_whole = bool(wanted) and all(each.known for each in wanted)
    return FetchPlan(chosen, missing, is_whole)


def find_platforms(raw: bytes | None, media_type: str, digest: str) -> Mapping[str, str]:
    """Return the platform of each manifest of an image, by digest; "" if it is not known here."""
    if raw is not None and media_type in media_types.INDEXES:
        return platforms.read_platforms(raw) or {digest: ""}
    return {digest: ""}


def read_manifest(raw: bytes, media_type: str) -> Manifest | None:
    """Return a manifest; None if it cannot be read."""
    try:
        return parse_manifest(raw, media_type)
    except ManifestInvalid:
        return None


def report_platform(
    platform: str, digest: str, manifest: Manifest | None, stored: Collection[str]
) -> PlatformDetail:
    """Return the report of a platform; `stored` are the digests of those blobs that are here."""
    if manifest is None:
        return PlatformDetail(platform, digest, known=False, size=0, stored=0, layers=())
    layers = [_report_layer(each, stored) for each in manifest.blobs]
    own = len(manifest.raw)
    return PlatformDetail(
        platform,
        digest,
        known=True,
        size=own + sum(each.size for each in layers),
        stored=own + sum(each.size for each in layers if each.stored),
        layers=layers,
    )


def _report_layer(blob: Descriptor, stored: Collection[str]) -> LayerReport:
    return LayerReport(
        str(blob.digest), blob.media_type, blob.size, stored=str(blob.digest) in stored
    )
