"""Laws of blobs that come in parts: any order, any crash, no wrong blob."""

import itertools
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import DigestMismatch
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.ingests import Ingests
from registry.store.sparse import SparsePartial, find_gaps, join_spans

CONTENT = random.Random(31).randbytes(10_000)
BLOB = Digest.of(CONTENT)
spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda x: Span(x[0], x[0] + x[1]))
)


def take(ingests: Ingests, whole: int = len(CONTENT)) -> SparsePartial:
    assembly = ingests.open_sparse(BLOB, whole)
    assert assembly is not None
    return assembly


def add(assembly: SparsePartial, start: int, stop: int) -> int:
    part = CONTENT[start:stop]
    pieces = [part[at : at + 700] for at in range(0, len(part), 700)]
    return assembly.add(start, Digest.of(part), pieces)


@given(spans, st.integers(0, 60), st.integers(0, 20))
def test_gaps_are_what_no_span_has(kept: list[Span], start: int, length: int) -> None:
    """Joined spans have the same bytes; gaps are the bytes that no span has."""
    have = {byte for each in kept for byte in range(each.start, each.stop)}
    joined = join_spans(kept)
    assert have == {byte for each in joined for byte in range(each.start, each.stop)}
    wanted = Span(start, start + length)
    gaps = [byte for each in find_gaps(wanted, joined) for byte in range(each.start, each.stop)]
    assert [byte for byte in range(wanted.start, wanted.stop) if byte not in have] == gaps


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("is_alone", [True, False])
def test_parts_come_in_any_order(tmp_path: Path, seed: int, is_alone: bool) -> None:
    """Parts may come in any order, twice, by any process; the last one completes the blob."""
    chance, ingests = random.Random(seed), Ingests(tmp_path)
    cuts = [0, *sorted(chance.sample(range(1, len(CONTENT)), 4)), len(CONTENT)]
    parts = [*itertools.pairwise(cuts)]
    parts += [chance.choice(parts), (100, 5000)]  # the last as another bundle has cut it
    chance.shuffle(parts)
    assembly, came = take(ingests), 0
    for start, stop in parts:
        came += add(assembly, start, stop)
        assert assembly.missing == len(CONTENT) - came
        if is_alone:
            assembly.close()
            assembly = take(ingests)
    sealed = assembly.seal()
    assert (sealed.path.read_bytes(), sealed.digest, sealed.size) == (CONTENT, BLOB, len(CONTENT))
    assert sealed.path.stat().st_mode & 0o777 == 0o444
    assembly.close()


def test_a_damaged_part_harms_no_other(tmp_path: Path) -> None:
    """A damaged part is refused, also over right bytes; its right copy is accepted."""
    ingests = Ingests(tmp_path)
    assembly = take(ingests)
    add(assembly, 0, 4000)
    for start, stop in ((4000, 10_000), (2000, 10_000)):
        with pytest.raises(DigestMismatch):
            assembly.add(start, Digest.of(CONTENT[start:stop]), [b"!" * (stop - start)])
    assert assembly.missing == 6000
    add(assembly, 4000, 10_000)
    assert assembly.seal().path.read_bytes() == CONTENT
    assembly.close()


@pytest.mark.parametrize("is_forgery_first", [True, False])
def test_forged_parts_are_never_a_blob(tmp_path: Path, is_forgery_first: bool) -> None:
    """Parts with right digests that do not make the blob are deleted with it."""
    assembly = take(Ingests(tmp_path))
    forged = b"!" * 5000
    if is_forgery_first:
        assembly.add(0, Digest.of(forged), [forged])
        add(assembly, 0, len(CONTENT))  # the right bytes pass by, and are not what is in the file
    else:
        add(assembly, 0, 5000)
        assembly.add(5000, Digest.of(forged), [forged])
    with pytest.raises(DigestMismatch):
        assembly.seal()
    assembly.close()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "ranges", [b"", b"{", b'{"whole": 1, "kept": [[0, 1]]}', b"[]", b"[" * 100_000]
)
def test_a_record_that_does_not_fit_counts_for_nothing(tmp_path: Path, ranges: bytes) -> None:
    """With a missing or wrong record, all bytes are missing."""
    ingests = Ingests(tmp_path)
    assembly = take(ingests)
    add(assembly, 0, 4000)
    assembly.close()
    (record,) = tmp_path.glob("*.ranges")
    record.write_bytes(ranges)
    assembly = take(ingests)
    assert assembly.missing == len(CONTENT)
    assembly.close()


def test_what_is_kept_takes_room_until_it_is_dropped(tmp_path: Path) -> None:
    """Kept parts count as downloading; holes in the file do not count."""
    ingests, whole = Ingests(tmp_path), 2**40
    assembly = ingests.open_sparse(BLOB, whole)
    assert assembly is not None
    assembly.add(2**30, Digest.of(CONTENT), [CONTENT])
    assert ingests.take(BLOB) is None, "no pull writes it meanwhile"
    assembly.close()
    assert len(CONTENT) <= ingests.measure(BLOB) < 2**20
    assert ingests.list_digests() == [BLOB]
    for path in tmp_path.iterdir():
        os.utime(path, (1.0, 1.0))
    assert ingests.idle(BLOB) > 1e6
    assert ingests.sweep(60.0) == 0
    with ingests.hold(BLOB):
        ingests.delete(BLOB)
    assert (ingests.list_digests(), [*tmp_path.iterdir()]) == ([], [])


def test_what_a_pull_has_left_goes(tmp_path: Path) -> None:
    """Bytes of an earlier download are deleted, since they were not verified."""
    ingests = Ingests(tmp_path)
    writer = ingests.take(BLOB)
    assert writer is not None
    writer.append([CONTENT[:6000]])
    writer.close()
    assembly = take(ingests)
    add(assembly, 0, 1000)
    assembly.close()
    assert {path.suffix for path in tmp_path.iterdir()} == {".pieces", ".ranges"}
