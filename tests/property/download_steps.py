"""What can happen to downloads: the steps of a story, drawn by hypothesis."""

from typing import Any

from hypothesis import strategies as st

SIZES = (0, 1, 2, 1000, 150_000, 2_200_000)
MOODS = ("honest", "honest", "wrong bytes", "wrong bytes", "down", "ending early")
share = st.integers(0, 16)


def choose(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *values)


spans = st.just((0, 16)) | st.tuples(share, share)
paces = st.sampled_from([None, None, 1, 70_000])
joining = choose("join", share, spans, paces, share | st.just(16))
behaving = choose("behave", st.sampled_from(MOODS), share)
# One rule for all of it: hypothesis would leave out half of many rules, and with them the readers.
ACTIONS = st.one_of(
    *(joining, joining, joining, behaving, behaving),
    choose("leave", share),
    choose("let_read", st.integers(1, 3)),
    choose("give", share),
    choose("cut"),
    choose("start_process"),
    choose("kill", share, st.integers(0, 8), share),
    choose(
        "spoil", st.sampled_from(["refuse", "short", "full", "repaired"]), st.integers(1, 5), share
    ),
)
