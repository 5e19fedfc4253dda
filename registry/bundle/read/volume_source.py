"""Volumes of one bundle, in any order, some of which may be missing or damaged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from registry.bundle.format.lock import Lock, parse_lock
from registry.bundle.format.tar import Member, read_blob_name, spell_blob
from registry.bundle.format.volumes import Part, Volume, parse_volume
from registry.bundle.read.sources import Extent, Flaws, TarMedium, read_small
from registry.errors import BundleInvalid


@dataclass(frozen=True, slots=True)
class CutPart:
    """A part of a blob that was cut, and the volume that it is in."""

    part: Part
    member: Member
    medium: TarMedium

    @property
    def label(self) -> str:
        """The volume and the part in it, as people are told."""
        return f"{self.medium.label}: {self.member.name}"


@dataclass(frozen=True, slots=True)
class _Tape:
    """A volume: what it says, its small files, and what follows them."""

    volume: Volume
    medium: TarMedium
    head: Mapping[str, bytes]
    rest: Iterator[Member]


class VolumesMedium:
    """Volumes as if they were one bundle; of those that are damaged, what is right of them.

    Blobs that were cut are put together again, if all their parts are here. Once everything was
    listed, `cut` has the parts of all of them by the names of the blobs, and `lone_parts` are
    those of which others lack.
    """

    def __init__(self, media: Sequence[TarMedium]) -> None:
        """Read what the volumes are.

        Raises:
            BundleInvalid: none of them can be used, or two of them are of two bundles.
        """
        self.flaws = Flaws()
        self.label = media[0].label if len(media) == 1 else f"{len(media)} volumes"
        self._tapes: list[_Tape] = []
        lock = None
        for medium in media:
            medium.flaws = self.flaws
            try:
                tape = _load_tape(medium)
                lock = lock or _read_lock(tape)
            except BundleInvalid as error:
                if len(media) == 1:
                    raise
                self.flaws.note(error)
                continue
            self._add(tape, lock)
        if lock is None:
            raise BundleInvalid(self.label, f"none can be used: {'; '.join(self.flaws.told)}")
        self._lock: Lock = lock
        self._tapes.sort(key=lambda each: each.volume.number)
        self._places: dict[str, list[tuple[_Tape, Member]]] = {}
        self.count = self._tapes[0].volume.count
        self.numbers = [tape.volume.number for tape in self._tapes]
        self.missing = sorted({*range(1, self.count + 1)} - {*self.numbers})
        self.lone_parts: list[CutPart] = []
        self.cut: dict[str, list[CutPart]] = {}

    def _add(self, tape: _Tape, lock: Lock) -> None:
        """Add a volume; the small files of the first one are all that is kept of such."""
        volume, label = tape.volume, tape.medium.label
        for former in self._tapes:
            if (volume.bundle_id, volume.count) != (lock.bundle_id, former.volume.count):
                raise BundleInvalid(label, f"it is of another bundle than {former.medium.label}")
            if volume.number == former.volume.number:
                raise BundleInvalid(label, f"it is volume {volume.number}, which is there twice")
        head = self._tapes[0].head if self._tapes else tape.head
        for name in sorted((head.keys() | tape.head.keys()) - {"volume.json"}):
            if head.get(name) != tape.head.get(name):
                self.flaws.note(BundleInvalid(label, f"its {name} is not that of the others"))
        self._tapes.append(_Tape(volume, tape.medium, head, tape.rest))

    def list_members(self) -> Iterator[Member]:
        """Yield the small files once, then the blobs by volume, then those that were cut."""
        head = self._tapes[0].head
        for name, content in head.items():
            self._places[name] = []
            yield Member(name, 0, len(content))
        parts: dict[str, list[CutPart]] = {}
        for tape in self._tapes:
            for member in tape.rest:
                part = tape.volume.parts.get(member.name)
                if part is not None:
                    blob = spell_blob(read_blob_name(member.name))
                    parts.setdefault(blob, []).append(CutPart(part, member, tape.medium))
                elif member.name in self._places:
                    why = f"{member.name} is there twice"
                    self.flaws.note(BundleInvalid(tape.medium.label, why))
                else:
                    self._places[member.name] = [(tape, member)]
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
        tapes = {id(tape.medium): tape for tape in self._tapes}
        self._places[name] = [(tapes[id(each.medium)], each.member) for each in right]
        yield Member(name, 0, end)

    def read(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a file, part by part."""
        if not member.is_blob:
            yield self._tapes[0].head[member.name]
            return
        yield from chain.from_iterable(
            tape.medium.read(each) for tape, each in self._places[member.name]
        )

    def locate(self, member: Member) -> list[Extent]:
        """Return the places of a file's parts."""
        return [
            extent
            for tape, each in self._places.get(member.name, [])
            for extent in tape.medium.locate(each)
        ]


def _load_tape(medium: TarMedium) -> _Tape:
    head: dict[str, bytes] = {}
    members, former = medium.list_members(), len(medium.flaws.told)
    rest: Iterator[Member] = iter(())
    for member in members:
        if member.is_blob:
            rest = chain([member], members)
            break
        if member.name in head:
            raise BundleInvalid(medium.label, f"{member.name} is there twice")
        head[member.name] = read_small(medium, member)
    if "volume.json" not in head:
        why = "it is no volume: it has no volume.json; give one bundle, or volumes of one"
        if damage := medium.flaws.told[former:]:
            why = f"its volume.json cannot be found; copy this volume again ({damage[0]})"
        raise BundleInvalid(medium.label, why)
    return _Tape(parse_volume(head["volume.json"], medium.label), medium, head, rest)


def _read_lock(tape: _Tape) -> Lock:
    if "bundle.json" not in tape.head:
        raise BundleInvalid(tape.medium.label, "it has no bundle.json")
    lock = parse_lock(tape.head["bundle.json"])
    if lock.bundle_id != tape.volume.bundle_id:
        raise BundleInvalid(tape.medium.label, "its bundle.json and volume.json are of two bundles")
    return lock
