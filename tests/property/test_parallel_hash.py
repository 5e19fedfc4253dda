"""Laws of hashing in a second thread, for any cuts of the bytes: the digest is that of hashlib."""

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from registry.store.parallel_hash import ParallelHash

MOST = 300_000  # bytes of a piece: to hash them takes longer than to change them
CONTENT = random.Random(1).randbytes(2 * MOST)
sizes = st.lists(st.integers(1, 3000) | st.integers(1, MOST), max_size=12)


@given(st.lists(sizes, min_size=1, max_size=3), st.integers(1, MOST))
def test_any_cuts_have_the_same_digest(steps: list[list[int]], least: int) -> None:
    """In two pieces of memory in turn, which change as early as allowed, no byte is lost or mixed.

    The bytes come in several blocks, as in the steps of a download.
    """
    hasher, expected = hashlib.sha256(), hashlib.sha256()
    for step in steps:
        memory, other = memoryview(bytearray(MOST)), memoryview(bytearray(MOST))
        with ParallelHash(hasher, least=least) as parallel:
            for number, size in enumerate(step):
                memory[:size] = CONTENT[number : number + size]
                expected.update(memory[:size])
                parallel.update(memory[:size])
                other[:] = bytes(MOST)
                memory, other = other, memory

    assert expected.digest() == hasher.digest()
