"""Which programs can read a bundle, as far as its lock tells. Pure.

Each rule is what the program does; the tests beside real programs hold them to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from registry.bundle.lock import Lock, LockedImage
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.oci.names import Tag

_NOTHING: Mapping[Digest, Manifest] = MappingProxyType({})

_LEFT_OUT = "layers are left out; import it with entrepot, where they are"
_SPARSE = "an index speaks of what is not inside; create it with --mode flat, or complete"
_MANY = "it takes one image at a time; use skopeo, or create a bundle of one image"


@dataclass(frozen=True, slots=True)
class Reader:
    """What becomes of a bundle in a program's hands; `why` has the cure where it cannot read it."""

    command: str
    can_read: bool
    why: str = ""

    def __str__(self) -> str:
        told = f"{self.command}: {'yes' if self.can_read else 'no'}"
        return f"{told}, {self.why}" if self.why else told


def list_readers(lock: Lock, manifests: Mapping[Digest, Manifest] = _NOTHING) -> tuple[Reader, ...]:
    """Return what each program makes of a bundle, in one file, the most able first.

    Without its manifests, what indexes have beside platforms is not known: to be sure, give them.
    """
    why_not_all = _SPARSE if is_sparse(lock, manifests) else ""
    judged = (_judge(lock, command, rule(lock, why_not_all)) for command, rule in _RULES)
    return (Reader("entrepot bundle import", True), *judged)


def is_sparse(lock: Lock, manifests: Mapping[Digest, Manifest] = _NOTHING) -> bool:
    """Whether an index inside speaks of manifests that are not."""
    children = (child for manifest in manifests.values() for child in manifest.children)
    return any(image.missing for image in _list_plain(lock)) or any(
        child.digest not in lock.manifests for child in children
    )


def _list_plain(lock: Lock) -> list[LockedImage]:
    return [image for image in lock.images if not image.is_extra]


def _judge(lock: Lock, command: str, why: str) -> Reader:
    told = _LEFT_OUT if lock.omitted else why
    return Reader(command, not told, told)


def _accept(lock: Lock, why_not_all: str) -> str:  # noqa: ARG001 (rules are alike)
    return ""


def _refuse_sparse(lock: Lock, why_not_all: str) -> str:  # noqa: ARG001
    return why_not_all


def _refuse_nameless(lock: Lock, why_not_all: str) -> str:  # noqa: ARG001
    """Docker's own listing knows images by tags only."""
    nameless = [each for each in _list_plain(lock) if not isinstance(each.reference, Tag)]
    if not nameless:
        return ""
    return f"{nameless[0].name} has no tag, which it needs; pull it from entrepot bundle serve"


def _refuse_many(lock: Lock, why_not_all: str) -> str:
    roots = {each.root.digest for each in _list_plain(lock)}
    return _refuse_nameless(lock, why_not_all) if len(roots) == 1 else _MANY


_RULES: tuple[tuple[str, Callable[[Lock, str], str]], ...] = (
    ("docker load", _refuse_nameless),
    ("podman load", _refuse_nameless),
    ("ctr images import", _accept),
    ("ctr images import --all-platforms", _refuse_sparse),
    ("kind load image-archive", _refuse_sparse),
    ("k3s agent/images", _refuse_sparse),
    ("skopeo copy", _accept),
    ("skopeo copy --all", _refuse_sparse),
    ("oras cp --from-oci-layout", _accept),
    ("crane push", _refuse_many),
)
