"""Volumes: a bundle that is cut into archives of a bounded size. Pure.

A volume has `volume.json`, the lock and its signature, and whole blobs. Only a blob that is larger
than a volume is cut, into numbered parts whose digests are in `volume.json`. So each volume can be
verified without the others.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.bundle.format.canonical_json import encode_with_digest, read_sizes, read_texts
from registry.bundle.format.tar import END, format_blob_name, measure
from registry.errors import BundleInvalid, InvalidInput, VolumeTooSmall
from registry.oci.digest import Digest

MAX_COUNT = 9999
LABEL = 512  # bytes of `volume.json` without its parts, at most
_ENTRY = 512  # bytes that a part takes in `volume.json`, at most
_LEAST_ROOM = 2048  # bytes; a volume that has less space counts as full
_SMALLEST = 64 * 1024  # bytes; a volume has to have at least so much space for blobs


@dataclass(frozen=True, slots=True)
class Piece:
    """A whole blob, or a part of a blob, in a volume.

    It has `size` bytes, which begin at byte `start` of the blob. `part` is 1, 2, … for the parts of
    a blob that is cut, and 0 for a whole blob.
    """

    digest: Digest
    start: int
    size: int
    part: int = 0

    @property
    def name(self) -> str:
        """The file name of the piece in its volume."""
        return format_blob_name(self.digest, self.part)


@dataclass(frozen=True, slots=True)
class Volume:
    """The content of `volume.json`: volume `number` of `count`, and its `parts` by file name."""

    bundle_id: str
    number: int
    count: int
    parts: Mapping[str, "Part"] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        """The bytes of `volume.json`."""
        return encode_with_digest("volumeId", _describe(self))[1]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a blob that was cut.

    The blob has `whole` bytes. The part has `size` of them, begins at byte `start`, and has the
    digest `digest`.
    """

    digest: Digest
    start: int
    size: int
    whole: int


def _describe(volume: Volume) -> dict[str, Any]:
    return {
        "bundleId": volume.bundle_id,
        "number": volume.number,
        "count": volume.count,
        "parts": {
            name: {
                "digest": str(part.digest),
                "start": part.start,
                "size": part.size,
                "whole": part.whole,
            }
            for name, part in volume.parts.items()
        },
    }


def parse_volume(raw: bytes, label: str) -> Volume:
    """Parse and check `volume.json`; `label` is the name of the volume for messages.

    Raises:
        BundleInvalid: it is not a `volume.json`, or its id is not the digest of its content.
    """
    try:
        fields = json.loads(raw)
        bundle_id, *names = read_texts([fields["bundleId"], *fields["parts"]])
        number, count = read_sizes([fields["number"], fields["count"]])
        parts = dict(zip(names, map(_read_part, fields["parts"].values()), strict=True))
        volume = Volume(bundle_id, number, count, parts)
        is_right = volume.raw == raw and 1 <= volume.number <= volume.count <= MAX_COUNT
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput) as error:
        raise BundleInvalid(label, f"volume.json cannot be read ({error!r:.200})") from error
    if not is_right:
        raise BundleInvalid(label, "the content of volume.json does not agree with its volumeId")
    return volume


def _read_part(fields: Mapping[str, Any]) -> Part:
    start, size, whole = read_sizes([fields["start"], fields["size"], fields["whole"]])
    return Part(Digest.parse(fields["digest"]), start, size, whole)


def cut(
    blobs: Sequence[tuple[Digest, int]], first: int, head: int, limit: int
) -> list[list[Piece]]:
    """Return the pieces of each volume; a volume has at most `limit` bytes.

    The small files take `head` bytes of each volume. The first `first` blobs (manifests and
    configs) are placed first, in order. The others follow, the largest first, each in the first
    volume that has space. The pieces of a volume are in the order of `blobs`.

    Raises:
        VolumeTooSmall: the small files leave too little space, or there would be too many volumes.
    """
    room = limit - head - measure("volume.json", LABEL) - len(END)
    least = max(_SMALLEST, sum(size for _, size in blobs) // MAX_COUNT)
    if room < least:  # refused before the work begins, which could take very long
        raise VolumeTooSmall(limit, limit - room + least)
    order = {digest: number for number, (digest, _) in enumerate(blobs)}
    pieces = [piece for digest, size in blobs for piece in _cut_blob(digest, size, room)]
    early = {digest for digest, _ in blobs[:first]}
    pieces.sort(key=lambda each: (each.digest not in early, -each.size, order[each.digest]))
    volumes: list[list[Piece]] = []
    left: dict[int, int] = {}  # bytes of space, by the number of each volume that is not full
    for piece in pieces:
        cost = _cost(piece)
        number = next((n for n, space in left.items() if space >= cost), len(volumes))
        if number == len(volumes):
            volumes.append([])
            left[number] = room
        volumes[number].append(piece)
        left[number] -= cost
        if left[number] < _LEAST_ROOM:
            del left[number]
    if len(volumes) > MAX_COUNT:
        raise VolumeTooSmall(limit, limit + room)
    for volume in volumes:
        volume.sort(key=lambda each: (order[each.digest], each.part))
    return volumes or [[]]


def _cost(piece: Piece) -> int:
    return measure(piece.name, piece.size) + (_ENTRY if piece.part else 0)


def _cut_blob(digest: Digest, size: int, room: int) -> Iterator[Piece]:
    if _cost(Piece(digest, 0, size)) <= room:
        yield Piece(digest, 0, size)
        return
    step = (room - _cost(Piece(digest, 0, 0, 1)) - 1024) // 512 * 512
    for part, start in enumerate(range(0, size, step), 1):
        yield Piece(digest, start, min(step, size - start), part)
