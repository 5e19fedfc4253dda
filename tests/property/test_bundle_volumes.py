"""Laws of cutting a bundle into volumes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.bundle.format.tar import END, measure
from registry.bundle.format.volumes import LABEL, Part, Piece, Volume, cut
from registry.errors import VolumeTooSmall
from registry.oci.digest import Digest

KIB, GIB = 1024, 2**30
limits = st.integers(80 * KIB, 400 * KIB) | st.integers(4 * 1024 * KIB, 9 * GIB)
small = st.integers(0, 8 * KIB)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Sizes of manifests, sizes of layers of up to some volumes, and the limit of a volume."""
    limit = draw(limits)
    layers = st.lists(small | st.integers(0, limit) | st.integers(0, 5 * limit), max_size=12)
    return draw(st.lists(small, max_size=20)), draw(layers), limit


HEAD = 3 * KIB


def name(number: int) -> Digest:
    return Digest.of(str(number).encode(), "sha512" if number % 5 == 4 else "sha256")


def write_label(pieces: list[Piece]) -> bytes:
    digest = Digest.of(b"", "sha512")
    longest = 2**63 - 1
    parts = {p.name: Part(digest, longest, longest, longest) for p in pieces if p.part}
    return Volume(str(Digest.of(b"")), 9999, 9999, parts).raw


@given(cases())
def test_volumes_hold_everything_once_within_the_limit(
    case: tuple[list[int], list[int], int],
) -> None:
    """Every byte is in one volume, none exceeds the limit, and only too large blobs are cut."""
    heads, layers, limit = case
    blobs = [(name(number), size) for number, size in enumerate([*heads, *layers])]
    volumes = cut(blobs, len(heads), HEAD, limit)

    covered: dict[Digest, int] = {}
    for piece in sorted((p for volume in volumes for p in volume), key=lambda each: each.start):
        assert covered.get(piece.digest, 0) == piece.start
        covered[piece.digest] = piece.start + piece.size
    assert dict(blobs) == covered
    for volume in volumes:
        files = [("volume.json", len(write_label(volume))), *((p.name, p.size) for p in volume)]
        assert sum(measure(*each) for each in files) + HEAD + len(END) <= limit
        assert len(write_label([p for p in volume if not p.part])) <= LABEL
    room = limit - HEAD - measure("volume.json", LABEL) - len(END)
    for piece in (p for volume in volumes for p in volume):
        whole = dict(blobs)[piece.digest]
        assert bool(piece.part) == (measure(Piece(piece.digest, 0, whole).name, whole) > room)


@pytest.mark.parametrize(("size", "limit"), [(20 * GIB, 80 * KIB), (1, 60 * KIB), (2**62, GIB)])
def test_a_too_small_volume_names_a_size_that_works(size: int, limit: int) -> None:
    """A too small limit is refused before the work, and the size in the error is accepted."""
    blobs = [(name(0), size)]
    with pytest.raises(VolumeTooSmall) as caught:
        cut(blobs, 0, HEAD, limit)
    if size < 2**60:
        assert len(cut(blobs, 0, HEAD, caught.value.least + 8 * KIB)) <= 9999


@given(cases())
def test_manifests_come_in_the_first_volumes(
    case: tuple[list[int], list[int], int],
) -> None:
    """Manifests are in as few volumes as they need, and these are the first."""
    heads, layers, limit = case
    blobs = [(name(number), size) for number, size in enumerate([*heads, *layers])]
    volumes = cut(blobs, len(heads), HEAD, limit)
    early = {digest for digest, _ in blobs[: len(heads)]}
    places = [n for n, volume in enumerate(volumes) for p in volume if p.digest in early]
    alone = cut(blobs[: len(heads)], len(heads), HEAD, limit) if heads else []
    assert max(places, default=-1) < max(len(alone), 1)
