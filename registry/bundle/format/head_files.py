"""The small files before the blobs of a bundle; different programs read different ones. Pure."""

from collections.abc import Mapping
from typing import Any

from registry.bundle.format.canonical_json import encode
from registry.bundle.format.lock import Lock, LockedImage, describe_descriptor
from registry.bundle.format.tar import format_blob_name
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Tag

_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_README = """\
This is a bundle of container images: an OCI image layout, as one tar file, as a folder, or cut
into volumes. {id}

With Entrepot:   entrepot bundle verify PATH...      entrepot bundle import PATH...
                 entrepot bundle serve PATH...       (without importing)
Without it:      docker load -i FILE                 skopeo inspect docker-archive:FILE:NAME
(of one file)    ctr images import FILE              podman load -i FILE
Volumes first:   entrepot bundle join PATH... -o FILE
{note}
Images inside:
{names}
"""


def write_head(lock: Lock, manifests: Mapping[Digest, Manifest]) -> dict[str, bytes]:
    """Return the small files of a bundle that is not cut, by name and in order."""
    plain = [image for image in lock.images if not image.is_extra]
    extras = [image for image in lock.images if image.is_extra]
    return {
        "oci-layout": LAYOUT,
        "index.json": _write_index([_describe_image(image) for image in plain]),
        "manifest.json": encode(_list_for_docker(lock, manifests)),
        "bundle.json": lock.raw,
        "extras.json": _write_index([*map(_describe_image, extras), *_list_referrers(lock)]),
        "README.txt": write_readme(lock),
    }


def add_signature(head: Mapping[str, bytes], signature: bytes) -> dict[str, bytes]:
    """Return the small files with the signature of `bundle.json` added after that file."""
    names = [*head]
    place = names.index("bundle.json") + 1
    return {
        name: head.get(name, signature)
        for name in (*names[:place], "bundle.json.sig", *names[place:])
    }


def _write_index(entries: list[dict[str, Any]]) -> bytes:
    return encode({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries})


def _describe_image(image: LockedImage) -> dict[str, Any]:
    """Return an image's entry, with its name in the annotations that skopeo and containerd read."""
    keys = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
    return describe_descriptor(image.root) | {"annotations": dict.fromkeys(keys, image.name)}


def _list_referrers(lock: Lock) -> list[dict[str, Any]]:
    found = {each.digest: each for image in lock.images for each in image.referrers}
    return [describe_descriptor(found[digest]) for digest in sorted(found)]


def _list_for_docker(lock: Lock, manifests: Mapping[Digest, Manifest]) -> list[dict[str, Any]]:
    """List what `docker load` and `podman load` read: the first platform of each image.

    Names are written in full: docker shortens them itself, and podman would put `localhost/` before
    a short name. The list is empty if the bundle omits layers, since these programs could not load
    the bundle.
    """
    entries: dict[Digest, dict[str, Any]] = {}
    for image in lock.images if not lock.omitted else ():
        manifest = _choose_platform(manifests[image.root.digest], manifests)
        if image.is_extra or not isinstance(image.reference, Tag) or manifest is None:
            continue
        entry = {
            "Config": format_blob_name(manifest.blobs[0].digest),
            "RepoTags": [],
            "Layers": [format_blob_name(digest) for digest in manifest.layers],
        }
        entries.setdefault(manifest.digest, entry)["RepoTags"].append(image.name)
    return list(entries.values())


def _choose_platform(root: Manifest, manifests: Mapping[Digest, Manifest]) -> Manifest | None:
    inside = [manifests[child.digest] for child in root.children if child.digest in manifests]
    return next((each for each in [root, *inside] if is_runnable(each)), None)


def is_runnable(manifest: Manifest) -> bool:
    """Whether a manifest is an image that can run, and not an index, a chart or an attestation."""
    kinds = [blob.media_type for blob in manifest.blobs]
    return bool(kinds) and kinds[0] in _CONFIGS and all(k.startswith(_LAYERS) for k in kinds[1:])


def write_readme(lock: Lock) -> bytes:
    """Return `README.txt`, for people who have only the bundle."""
    images = [image for image in lock.images if not image.is_extra]
    note = ""
    if lock.omitted:
        note = f"\nLayers left out: {len(lock.omitted)}. Import it with Entrepot, where they are.\n"
    names = "\n".join(f"  {image.name}  {', '.join(image.platforms)}".rstrip() for image in images)
    return _README.format(id=lock.bundle_id, note=note, names=names).encode()
