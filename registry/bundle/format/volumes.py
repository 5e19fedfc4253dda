"""Volumes: a bundle cut into archives of a bounded size, each of which can be verified alone.

A volume is `volume.json`, the lock and its signature, and whole blobs. Only a blob that is larger
than a volume is cut, into numbered parts whose digests `volume.json` has. Pure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.bundle.format.canonical_json import read_size, read_text, stamp
from registry.bundle.format.tar import END, format_blob_name, measure
from registry.errors import BundleInvalid, InvalidInput, VolumeTooSmall
from registry.oci.digest import Digest

MAX_COUNT = 9999
LABEL = 512  # bytes of `volume.json` besides its parts, at most
_ENTRY = 512  # bytes that a part takes in it, at most
_CRUMB = 2048  # bytes; a volume that has less room is full
_SMALLEST = 64 * 1024  # bytes of blobs for which a volume is worth its head


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes into a volume: the bytes `start` to `start + size` of a blob.

    `part` counts from 1 where the blob is cut, and is 0 where the piece is all of it.
    """

    digest: Digest
    start: int
    size: int
    part: int = 0

    @property
    def name(self) -> str:
        """The name of its file."""
        return format_blob_name(self.digest, self.part)


@dataclass(frozen=True, slots=True)
class Volume:
    """What `volume.json` says: which of how many this is, and of its parts what they are."""

    bundle_id: str
    number: int
    count: int
    parts: Mapping[str, "Part"] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        """The bytes of `volume.json`."""
        return stamp("volumeId", _describe(self))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a blob of `whole` bytes: its own digest, and where in the blob it begins."""

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
    """Read `volume.json`, from whoever it comes.

    Raises:
        BundleInvalid: it is not one, or not as its id says.
    """
    try:
        fields = json.loads(raw)
        volume = Volume(
            read_text(fields["bundleId"]),
            read_size(fields["number"]),
            read_size(fields["count"]),
            {
                read_text(name): Part(
                    Digest.parse(read_text(part["digest"])),
                    read_size(part["start"]),
                    read_size(part["size"]),
                    read_size(part["whole"]),
                )
                for name, part in fields["parts"].items()
            },
        )
        is_right = volume.raw == raw and 1 <= volume.number <= volume.count <= MAX_COUNT
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidInput) as error:
        raise BundleInvalid(label, f"volume.json cannot be read ({error!r:.200})") from error
    if not is_right:
        raise BundleInvalid(label, "volume.json is not as its volumeId says")
    return volume


def cut(
    blobs: Sequence[tuple[Digest, int]], first: int, head: int, limit: int
) -> list[list[Piece]]:
    """Return what goes into each volume of at most `limit` bytes, of which heads take `head`.

    The `first` blobs, which are small and which all others need, come in order at the beginning;
    the others where they fit, the largest first. Each volume is in the order of `blobs`.

    Raises:
        VolumeTooSmall: there would be no room beside the heads, or there would be too many.
    """
    room = limit - head - measure("volume.json", LABEL) - len(END)
    least = max(_SMALLEST, sum(size for _, size in blobs) // MAX_COUNT)
    if room < least:  # said before the work, which would be endless
        raise VolumeTooSmall(limit, limit - room + least)
    order = {digest: number for number, (digest, _) in enumerate(blobs)}
    pieces = [piece for digest, size in blobs for piece in _cut_blob(digest, size, room)]
    early = {digest for digest, _ in blobs[:first]}
    pieces.sort(key=lambda each: (each.digest not in early, -each.size, order[each.digest]))
    volumes: list[list[Piece]] = []
    left: dict[int, int] = {}  # of those volumes that are not full
    for piece in pieces:
        cost = _cost(piece)
        number = next((n for n, space in left.items() if space >= cost), len(volumes))
        if number == len(volumes):
            volumes.append([])
            left[number] = room
        volumes[number].append(piece)
        left[number] -= cost
        if left[number] < _CRUMB:
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
