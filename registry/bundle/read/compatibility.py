"""Which programs can read a bundle, and what makes the bundle readable for others. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from registry.bundle.format.head_files import is_runnable
from registry.bundle.format.lock import Lock
from registry.bundle.read.sources import Shape
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
# These skip images with docker's own media types; some images at Docker Hub have them.
_OCI_READERS = ("skopeo (oci-archive:)", "umoci")
_OCI_WHOLE_READERS = ("skopeo copy --all",)
_DOCKER = "application/vnd.docker."
_WHOLE_READERS: tuple[str, ...] = (
    "ctr images import --all-platforms",
    "kind load",
    "k3s images folder",
)
# containerd and umoci store content under sha256 digests only; skopeo fails on such layers.
_SHA256_READERS = frozenset(
    {"docker load", "ctr images import", *_OCI_READERS, *_OCI_WHOLE_READERS, *_WHOLE_READERS}
)
_SHA256_WHY = (
    "they know sha256 digests only, and the bundle has others; docker load can with an image store"
    " that is not containerd's"
)
_SPARSE_WHY = (
    "some platforms are left out; --mode complete, or --mode flat with one platform, changes it"
)
# What these programs are called when they read a folder; the others read one file only.
_FOLDER_READERS = MappingProxyType(
    {
        "entrepot": "entrepot",
        "oras": "oras (--oci-layout)",
        "skopeo (oci-archive:)": "skopeo (oci:)",
        "umoci": "umoci",
        "skopeo copy --all": "skopeo copy --all (oci:)",
    }
)
_JOINED = "; by others after bundle join has written one file"


@dataclass(frozen=True, slots=True)
class Unable:
    """Programs that cannot read the whole bundle; `why` is the reason, and what to do."""

    programs: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"not readable by: {', '.join(self.programs)}, because {self.why}"


@dataclass(frozen=True, slots=True)
class Readers:
    """The programs that can read a bundle, and those that cannot."""

    able: tuple[str, ...]
    unable: tuple[Unable, ...] = ()
    after: str = ""  # who else can, and after what

    def __str__(self) -> str:
        able = f"readable by: {', '.join(self.able)}{self.after}"
        return "\n".join([able, *map(str, self.unable)])


def format_readers(lock: Lock, manifests: Mapping[Digest, Manifest], shape: Shape) -> str:
    """Return a line that names the programs that can read a bundle, and lines about the others.

    For volumes and a folder, the line says that others can read them after `bundle join`.
    """
    readers = find_readers(lock, manifests)
    if lock.omitted or shape == "file":
        return str(readers)
    if shape == "volumes":
        return str(Readers(("entrepot",), after=_JOINED))
    return str(_name_folder_readers(readers))


def _name_folder_readers(readers: Readers) -> Readers:
    """Return which of the readers of one file can read a folder too; `bundle join` helps others."""
    able = tuple(_FOLDER_READERS[each] for each in readers.able if each in _FOLDER_READERS)
    unable = tuple(
        Unable(tuple(_FOLDER_READERS.get(name, name) for name in each.programs), each.why)
        for each in readers.unable
    )
    return replace(
        readers, able=able, unable=unable, after=_JOINED if len(able) < len(readers.able) else ""
    )


def find_readers(lock: Lock, manifests: Mapping[Digest, Manifest]) -> Readers:
    """Return which programs can read a bundle in one file, according to `manifests`.

    `tests/clients/test_bundle_tools.py` tests each program. An index is sparse if it refers to
    manifests that the bundle does not contain: programs that read all children of an index fail.
    """
    if lock.omitted:
        others = ("docker load", "podman load", "ctr images import", "skopeo", "oras")
        return Readers(("entrepot bundle import",), (Unable(others, "layers are omitted"),))
    runnable = [each for each in manifests.values() if is_runnable(each)]
    if not runnable:
        unable = Unable(("docker load",), "the bundle has no image that runs")
        return Readers(("entrepot", "oras"), (unable,))
    is_sparse = any(
        child.digest not in lock.manifests
        for manifest in manifests.values()
        for child in manifest.children
    )
    able, whole, unable_to = _READERS, _WHOLE_READERS, []
    if any(image.root.media_type.startswith(_DOCKER) for image in lock.images):
        why = "some images have docker's own media types; skopeo reads docker-archive:"
        unable_to.append(Unable((*_OCI_READERS, *_OCI_WHOLE_READERS), why))
    else:
        able, whole = (*able, *_OCI_READERS), (*whole, *_OCI_WHOLE_READERS)
    if is_sparse:
        unable_to.insert(0, Unable(whole, _SPARSE_WHY))
    else:
        able = (*able, *whole)
    readers = Readers(able, tuple(unable_to))
    return _drop_sha256_readers(readers) if _has_other_digests(lock) else readers


def _has_other_digests(lock: Lock) -> bool:
    return any(digest.algorithm != "sha256" for digest in lock.sizes)


def _drop_sha256_readers(readers: Readers) -> Readers:
    """Move the programs that know sha256 only to a reason of their own."""
    able = tuple(each for each in readers.able if each not in _SHA256_READERS)
    unable = [
        Unable(programs, each.why)
        for each in readers.unable
        if (programs := tuple(name for name in each.programs if name not in _SHA256_READERS))
    ]
    every = [*readers.able, *(name for each in readers.unable for name in each.programs)]
    dropped = tuple(name for name in every if name in _SHA256_READERS)
    return Readers(able, (*unable, Unable(dropped, _SHA256_WHY)))
