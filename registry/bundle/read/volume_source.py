"""Volumes of one bundle, in any order, some of which may be missing or damaged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from registry.bundle.format.lock import Lock, parse_lock
from registry.bundle.format.tar import Member, format_blob_name, read_blob_name
from registry.bundle.format.volumes import Part, Volume, parse_volume
from registry.bundle.read.sources import Extent, Flaws, TarSource, read_small
from registry.errors import BundleInvalid


@dataclass(frozen=True, slots=True)
class CutPart:
    """A part of a blob that was cut, and the volume that it is in."""

    part: Part
    member: Member
    source: TarSource

    @property
    def label(self) -> str:
        """The volume and the part in it, as people are told."""
        return f"{self.source.label}: {self.member.name}"


@dataclass(frozen=True, slots=True)
class _VolumeFile:
    """A volume: what it says, its small files, and what follows them."""

    volume: Volume
    source: TarSource
    head: Mapping[str, bytes]
    rest: Iterator[Member]


class VolumeSource:
    """Volumes as if they were one bundle; of those that are damaged, what is right of them.

    Blobs that were cut are put together again, if all their parts are here. Once everything was
    listed, `cut` has the parts of all of them by the names of the blobs, and `lone_parts` are
    those of which others lack.
    """

    def __init__(self, media: Sequence[TarSource]) -> None:
        """Read what the volumes are.

        Raises:
            BundleInvalid: none of them can be used, or two of them are of two bundles.
        """
        self.flaws = Flaws()
        self.label = media[0].label if len(media) == 1 else f"{len(media)} volumes"
        self._volume_files: list[_VolumeFile] = []
        lock = None
        for source in media:
            source.flaws = self.flaws
            try:
                volume_file = _load_volume_file(source)
                lock = lock or _read_lock(volume_file)
            except BundleInvalid as error:
                if len(media) == 1:
                    raise
                self.flaws.note(error)
                continue
            self._add(volume_file, lock)
        if lock is None:
            raise BundleInvalid(self.label, f"none can be used: {'; '.join(self.flaws.told)}")
        self._lock: Lock = lock
        self._volume_files.sort(key=lambda each: each.volume.number)
        self._places: dict[str, list[tuple[_VolumeFile, Member]]] = {}
        self.count = self._volume_files[0].volume.count
        self.numbers = [volume_file.volume.number for volume_file in self._volume_files]
        self.missing = sorted({*range(1, self.count + 1)} - {*self.numbers})
        self.lone_parts: list[CutPart] = []
        self.cut: dict[str, list[CutPart]] = {}

    def _add(self, volume_file: _VolumeFile, lock: Lock) -> None:
        """Add a volume; the small files of the first one are all that is kept of such."""
        volume, label = volume_file.volume, volume_file.source.label
        for former in self._volume_files:
            if (volume.bundle_id, volume.count) != (lock.bundle_id, former.volume.count):
                raise BundleInvalid(label, f"it is of another bundle than {former.source.label}")
            if volume.number == former.volume.number:
                raise BundleInvalid(label, f"it is volume {volume.number}, which is there twice")
        head = self._volume_files[0].head if self._volume_files else volume_file.head
        for name in sorted((head.keys() | volume_file.head.keys()) - {"volume.json"}):
            if head.get(name) != volume_file.head.get(name):
                self.flaws.note(BundleInvalid(label, f"its {name} is not that of the others"))
        self._volume_files.append(_VolumeFile(volume, volume_file.source, head, volume_file.rest))

    def list_members(self) -> Iterator[Member]:
        """Yield the small files once, then the blobs by volume, then those that were cut."""
        head = self._volume_files[0].head
        for name, content in head.items():
            self._places[name] = []
            yield Member(name, 0, len(content))
        parts: dict[str, list[CutPart]] = {}
        for volume_file in self._volume_files:
            for member in volume_file.rest:
                part = volume_file.volume.parts.get(member.name)
                if part is not None:
                    blob = format_blob_name(read_blob_name(member.name))
                    parts.setdefault(blob, []).append(CutPart(part, member, volume_file.source))
                elif member.name in self._places:
                    why = f"{member.name} is there twice"
                    self.flaws.note(BundleInvalid(volume_file.source.label, why))
                else:
                    self._places[member.name] = [(volume_file, member)]
                    yield member
        for name, found in parts.items():
            yield from self._join(name, found)

    def _join(self, name: str, found: list[CutPart]) -> Iterator[Member]:
        """Yield a blob of which all parts are here; note its parts in any case."""
        whole = self._lock.sizes.get(read_blob_name(name))
        found.sort(key=lambda each: each.part.start)
        right = []
        for each in found:
            fits = each.part.whole == whole and each.part.size == each.member.size
            if fits and each.part.start + each.part.size <= each.part.whole:
                right.append(each)
            else:
                why = "bundle.json and volume.json do not agree about it"
                self.flaws.note(BundleInvalid(each.label, why))
        end = 0
        for each in right:
            end += each.part.size if each.part.start == end else 0
        self.cut |= {name: right} if right else {}
        if not right or end != whole:
            self.lone_parts += right
            return
        volume_files = {id(volume_file.source): volume_file for volume_file in self._volume_files}
        self._places[name] = [(volume_files[id(each.source)], each.member) for each in right]
        yield Member(name, 0, end)

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file, part by part."""
        if not member.is_blob:
            yield self._volume_files[0].head[member.name]
            return
        yield from chain.from_iterable(
            volume_file.source.read(each) for volume_file, each in self._places[member.name]
        )

    def locate(self, member: Member) -> list[Extent]:
        """Return the places of a file's parts."""
        return [
            extent
            for volume_file, each in self._places.get(member.name, [])
            for extent in volume_file.source.locate(each)
        ]


def _load_volume_file(source: TarSource) -> _VolumeFile:
    head: dict[str, bytes] = {}
    members, former = source.list_members(), len(source.flaws.told)
    rest: Iterator[Member] = iter(())
    for member in members:
        if member.is_blob:
            rest = chain([member], members)
            break
        if member.name in head:
            raise BundleInvalid(source.label, f"{member.name} is there twice")
        head[member.name] = read_small(source, member)
    if "volume.json" not in head:
        why = "it is no volume: it has no volume.json; give one bundle, or volumes of one"
        if damage := source.flaws.told[former:]:
            why = f"its volume.json cannot be found; copy this volume again ({damage[0]})"
        raise BundleInvalid(source.label, why)
    return _VolumeFile(parse_volume(head["volume.json"], source.label), source, head, rest)


def _read_lock(volume_file: _VolumeFile) -> Lock:
    if "bundle.json" not in volume_file.head:
        raise BundleInvalid(volume_file.source.label, "it has no bundle.json")
    lock = parse_lock(volume_file.head["bundle.json"])
    if lock.bundle_id != volume_file.volume.bundle_id:
        raise BundleInvalid(
            volume_file.source.label, "its bundle.json and volume.json are of two bundles"
        )
    return lock
