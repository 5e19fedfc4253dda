"""The report of pulls that were recorded: who has pulled what, when, how much, by which rule."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordedPullReport:
    """A pull; times are epoch seconds.

    `user` is empty for somebody who has proved nothing; `proof` is how it was proved, `none`,
    `wrong`, or empty if everybody may pull. `client` is an address, a network, or empty. `outcome`
    is `served`, `refused` or `failed`. `tags` and `digests` are those of the manifests that were
    asked for, `rules` the rules that have decided.
    """

    user: str
    proof: str
    client: str
    repository: str
    outcome: str
    began: int
    ended: int
    tags: Sequence[str]
    digests: Sequence[str]
    rules: Sequence[str]
    manifest_bytes: int
    blob_bytes: int
    answers: int


@dataclass(frozen=True, slots=True)
class RecordedPullsReport:
    """Pulls, the latest first; `has_more` says that older ones were left out.

    `damaged` is the number of lines that could not be read.
    """

    pulls: Sequence[RecordedPullReport]
    has_more: bool
    damaged: int
