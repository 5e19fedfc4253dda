"""Which programs can read a bundle, and what to do about those that cannot. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from registry.bundle.format.head_files import is_runnable
from registry.bundle.format.lock import Lock
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest

_READERS: tuple[str, ...] = (
    "entrepot",
    "docker load",
    "podman load",
    "ctr images import",
    "skopeo (docker-archive:)",
    "oras",
)
# They pass over images of docker's own media types, which Docker Hub still has.
_OCI_READERS = ("skopeo (oci-archive:)", "umoci")
_OCI_WHOLE_READERS = ("skopeo copy --all",)
_DOCKER = "application/vnd.docker."
_WHOLE_READERS: tuple[str, ...] = (
    "ctr images import --all-platforms",
    "kind load",
    "k3s images folder",
)
_OF_CUT = "readable by: entrepot; by others when bundle join has made one file of it"


@dataclass(frozen=True, slots=True)
class Unable:
    """Programs that cannot read a bundle, or not all of it; `why` has the cure if there is one."""

    programs: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"; not by: {', '.join(self.programs)} ({self.why})"


@dataclass(frozen=True, slots=True)
class Readers:
    """The programs that can read a bundle as it is, and those that cannot."""

    able: tuple[str, ...]
    unable: tuple[Unable, ...] = ()

    def __str__(self) -> str:
        return f"readable by: {', '.join(self.able)}{''.join(map(str, self.unable))}"


def format_readers(lock: Lock, manifests: Mapping[Digest, Manifest], *, is_cut: bool) -> str:
    """Say which programs can read a bundle, or first have to have its volumes joined."""
    if is_cut and not lock.omitted:
        return _OF_CUT
    return str(find_readers(lock, manifests))


def find_readers(lock: Lock, manifests: Mapping[Digest, Manifest]) -> Readers:
    """Say which programs can read a bundle in one piece.

    `tests/clients/test_bundle_tools.py` shows it. An index is sparse where it names manifests that
    the bundle has not: who wants all fails. Of volumes that are not all at hand, those `manifests`
    that are known speak for the others.
    """
    if lock.omitted:
        others = ("docker load", "podman load", "ctr images import", "skopeo", "oras")
        return Readers(("entrepot bundle import",), (Unable(others, "layers are left out"),))
    runnable = [each for each in manifests.values() if is_runnable(each)]
    if not runnable:
        unable = Unable(("docker load",), "no image is inside that runs")
        return Readers(("entrepot", "oras"), (unable,))
    is_sparse = any(
        child.digest not in lock.manifests
        for manifest in manifests.values()
        for child in manifest.children
    )
    able, whole, unable_to = _READERS, _WHOLE_READERS, []
    if any(image.root.media_type.startswith(_DOCKER) for image in lock.images):
        why = "images of docker's own media types are inside; skopeo reads docker-archive:"
        unable_to.append(Unable((*_OCI_READERS, *_OCI_WHOLE_READERS), why))
    else:
        able, whole = (*able, *_OCI_READERS), (*whole, *_OCI_WHOLE_READERS)
    if is_sparse:
        unable_to.insert(0, Unable(whole, "sparse index: use --mode flat or complete"))
        return Readers(able, tuple(unable_to))
    return Readers((*able, *whole), tuple(unable_to))
