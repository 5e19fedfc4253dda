"""Which programs can read a bundle, and what to do about those that cannot. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.bundle.lock import Lock
from registry.bundle.views import is_runnable
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest

_READERS = (
    "entrepot",
    "docker load",
    "podman load",
    "ctr images import",
    "skopeo (docker-archive:)",
    "oras",
)
# They look past manifests of docker's own media types, which Docker Hub still has.
_OCI_READERS = ("skopeo (oci-archive:)", "umoci")
_DOCKER = "application/vnd.docker."
_WHOLE_READERS = (
    "ctr images import --all-platforms",
    "kind load",
    "k3s images folder",
    "skopeo copy --all",
)


@dataclass(frozen=True, slots=True)
class Readers:
    """The programs that can read a bundle as it is, and those that cannot, with reason and cure."""

    able: tuple[str, ...]
    unable: tuple[str, ...] = ()
    why: str = ""

    def __str__(self) -> str:
        able = f"readable by: {', '.join(self.able)}"
        return f"{able}; not by: {', '.join(self.unable)} ({self.why})" if self.unable else able


def find_readers(lock: Lock, manifests: Mapping[Digest, Manifest]) -> Readers:
    """Say which programs can read a bundle; `tests/clients/test_bundle_tools.py` shows it.

    An index is sparse where it names manifests that the bundle has not: who wants all fails. Of
    volumes that are not all at hand, those `manifests` that are known speak for the others.
    """
    if lock.omitted:
        others = ("docker load", "podman load", "ctr images import", "skopeo", "oras")
        return Readers(("entrepot bundle import",), others, "layers are left out")
    is_sparse = any(
        child.digest not in lock.manifests
        for manifest in manifests.values()
        for child in manifest.children
    )
    runnable = [each for each in manifests.values() if is_runnable(each)]
    if not runnable:
        return Readers(("entrepot", "oras"), ("docker load",), "no image is inside that runs")
    of_docker = any(image.root.media_type.startswith(_DOCKER) for image in lock.images)
    readers = _READERS if of_docker else (*_READERS, *_OCI_READERS)
    if is_sparse:
        return Readers(readers, _WHOLE_READERS, "sparse index: use --mode flat or complete")
    return Readers((*readers, *_WHOLE_READERS))
