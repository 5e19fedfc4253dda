"""Mutations of right requests and files: the targets of the fuzzer, for a moment and without it.

`tests/fuzz/` finds more, as it sees which code an input reaches. This needs no program but Python.
"""

import random

import pytest

from tests.fuzz.targets import TARGETS

SEED = 13
ROUNDS = {"requests": 3000, "connections": 200, "small files": 40, "documents": 300}
PIECES = (
    b"",
    b"\0",
    b"\xff",
    b"\r\n",
    b"\n",
    b"[" * 2000,
    b'"',
    b"1e999",
    b"NaN",
    b"-1",
    b"9" * 30,
)


def mutate(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed in which some slices are replaced by slices of another, or by odd pieces."""
    raw = chance.choice(seeds)
    for _ in range(chance.randint(0, 4)):
        other = chance.choice(seeds)
        start, size = chance.randrange(len(raw) + 1), chance.randint(0, 12)
        begin = chance.randrange(len(other) + 1)
        piece = chance.choice([other[begin : begin + chance.randint(0, 30)], chance.choice(PIECES)])
        raw = raw[:start] + piece + raw[start + size :]
    return raw


@pytest.mark.parametrize("name", ROUNDS)
def test_any_bytes_are_read_or_refused(name: str) -> None:
    """No input raises an undeclared error, and no repeated answer differs from aiohttp's."""
    chance = random.Random(SEED)
    seeds = TARGETS[name].seeds()
    with TARGETS[name].open() as look:
        for _ in range(ROUNDS[name]):
            raw = mutate(chance, seeds)
            try:
                look(raw)
            except BaseException as error:
                raise AssertionError(f"{name}: {raw!r}") from error
