"""The volumes of one bundle, in any order; some of them may be missing or damaged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from registry.bundle.format.lock import Lock, parse_lock
from registry.bundle.format.tar import BlobMember, Member, build_member, format_blob_name
from registry.bundle.format.volumes import Volume, parse_volume
from registry.bundle.read.flaws import Flaws
from registry.bundle.read.sources import (
    BundleSource,
    CutPart,
    Extent,
    Shape,
    TarSource,
    read_head,
)
from registry.errors import BundleInvalid
from registry.oci.digest import Digest

MAX_NAMES = 5  # files that a message names
_Place = tuple[BundleSource, Member]


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A volume: its `volume.json`, its small files by name, and the members after them."""

    volume: Volume
    source: TarSource
    head: Mapping[str, bytes]
    members: Iterator[Member]


class VolumeSource(BundleSource):
    """Several volumes as one source; files with damaged headers are left out.

    A blob that was cut is one member if all its parts are given.
    """

    shape: Shape = "volumes"

    def __init__(
        self, label: str, lock: Lock, volume_files: Sequence[VolumeFile], flaws: Flaws
    ) -> None:
        self.label = label
        self.lock = lock
        self.flaws = flaws
        self.count = volume_files[0].volume.count
        given = {each.volume.number for each in volume_files}
        self.missing = tuple(n for n in range(1, self.count + 1) if n not in given)
        self._sizes = lock.sizes
        self._head = volume_files[0].head
        self._volume_files = volume_files
        self._places: dict[str, list[_Place]] = {}

    def list_members(self) -> Iterator[Member]:
        """Yield the small files once, then the whole blobs by volume, then the cut blobs."""
        for name, content in self._head.items():
            self._places[name] = []
            yield build_member(name, 0, len(content))
        found: dict[Digest, list[CutPart]] = {}
        for volume_file in self._volume_files:
            source = volume_file.source
            for member in volume_file.members:
                part = volume_file.volume.parts.get(member.name)
                if part is not None and isinstance(member, BlobMember):
                    found.setdefault(member.digest, []).append(CutPart(part, member, source))
                elif member.name in self._places:
                    self.flaws.note(BundleInvalid(source.label, f"it contains {member.name} twice"))
                else:
                    self._places[member.name] = [(source, member)]
                    yield member
        right = {digest: self._check_parts(digest, parts) for digest, parts in found.items()}
        self.parts = {digest: parts for digest, parts in right.items() if parts}
        for digest, parts in self.parts.items():
            yield from self._join(digest, parts)

    def _check_parts(self, digest: Digest, parts: Sequence[CutPart]) -> list[CutPart]:
        """Return the parts that fit into their blob, in the order of their bytes."""
        whole, right = self._sizes.get(digest), []
        for each in sorted(parts, key=lambda each: each.part.start):
            fits = each.part.whole == whole and each.part.size == each.member.size
            if fits and each.part.start + each.part.size <= each.part.whole:
                right.append(each)
            else:
                why = "bundle.json and volume.json do not agree about it"
                self.flaws.note(BundleInvalid(each.label, why))
        return right

    def _join(self, digest: Digest, parts: Sequence[CutPart]) -> Iterator[Member]:
        """Yield a cut blob as one member if all its parts are given."""
        end = 0
        for each in parts:
            end += each.part.size if each.part.start == end else 0
        if end == self._sizes.get(digest):
            member = build_member(format_blob_name(digest), 0, end)
            self._places[member.name] = [(each.source, each.member) for each in parts]
            yield member

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file, part by part."""
        if member.name in self._head:
            return iter([self._head[member.name]])
        return chain.from_iterable(source.read(each) for source, each in self._places[member.name])

    def locate(self, member: Member) -> list[Extent]:
        """Return the places of a file's parts."""
        return [
            extent
            for source, each in self._places.get(member.name, [])
            for extent in source.locate(each)
        ]


def open_volumes(sources: Sequence[TarSource], flaws: Flaws) -> VolumeSource:
    """Read the small files of volumes, and return one source; the `sources` share `flaws`.

    Raises:
        BundleInvalid: none of the volumes can be used, or they are of several bundles.
    """
    label = sources[0].label if len(sources) == 1 else f"{len(sources)} volumes"
    volume_files: list[VolumeFile] = []
    firsts: dict[tuple[str, int], str] = {}  # the first volume of each bundle and number of volumes
    lock = None
    for source in sources:
        try:
            volume_file = _read_volume(source)
            volume = volume_file.volume
            firsts.setdefault((volume.bundle_id, volume.count), source.label)
            if len(firsts) > 1:
                continue  # refused below, when all are known
            lock = lock or _read_lock(volume_file)
            _check_volume(volume_file, volume_files)
        except BundleInvalid as error:
            if len(sources) == 1:
                raise
            flaws.note(error)
            continue
        # Only one head is kept in memory, since all are equal: a lock may have 16 MiB.
        head = volume_files[0].head if volume_files else volume_file.head
        volume_files.append(replace(volume_file, head=head))
    if len(firsts) > 1:
        raise _refuse_mixture(label, firsts)
    if lock is None:
        raise BundleInvalid(label, f"none can be used: {'; '.join(flaws.messages)}")
    volume_files.sort(key=lambda each: each.volume.number)
    return VolumeSource(label, lock, volume_files, flaws)


def _refuse_mixture(label: str, firsts: Mapping[tuple[str, int], str]) -> BundleInvalid:
    """Return the error for volumes that are not of one bundle, cut once.

    One of the bundles is not chosen: it could be the wrong one, such as that of last month.
    """
    bundles = len({bundle for bundle, _ in firsts})
    what = f"{bundles} bundles" if bundles > 1 else "one bundle that was cut in two ways"
    names = ", ".join(islice(firsts.values(), MAX_NAMES))
    return BundleInvalid(label, f"these are volumes of {what} ({names}); give the files of one")


def _read_volume(source: TarSource) -> VolumeFile:
    known = len(source.flaws.messages)
    head, members = read_head(source)
    if "volume.json" not in head:
        why = "it is not a volume: it has no volume.json; give one bundle, or volumes of one"
        if damage := source.flaws.take(known):  # said in this error, and not once more
            reason = damage[0].removeprefix(f"{source.label}: ")
            why = f"its volume.json cannot be found; copy this volume again ({reason})"
        raise BundleInvalid(source.label, why)
    return VolumeFile(parse_volume(head["volume.json"], source.label), source, head, members)


def _read_lock(volume_file: VolumeFile) -> Lock:
    if "bundle.json" not in volume_file.head:
        raise BundleInvalid(volume_file.source.label, "it has no bundle.json")
    lock = parse_lock(volume_file.head["bundle.json"])
    if lock.bundle_id != volume_file.volume.bundle_id:
        raise BundleInvalid(
            volume_file.source.label, "its bundle.json and volume.json are of two bundles"
        )
    return lock


def _check_volume(volume_file: VolumeFile, others: Sequence[VolumeFile]) -> None:
    """Refuse a repeated volume; note small files that differ."""
    volume, source = volume_file.volume, volume_file.source
    for other in others:
        if volume.number == other.volume.number:
            raise BundleInvalid(source.label, f"volume {volume.number} is there twice")
    head = others[0].head if others else volume_file.head
    for name in sorted((head.keys() | volume_file.head.keys()) - {"volume.json"}):
        if head.get(name) != volume_file.head.get(name):
            source.flaws.note(BundleInvalid(source.label, f"its {name} differs from the others'"))
