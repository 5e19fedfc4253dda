"""What candidates say and send, compared with each other. Pure.

The registry's own host is right. Without an answer of its own host, most of the others are.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from registry.oci.digest import Digest
from registry.upstream.candidate import Candidate, Step

_Answer = TypeVar("_Answer")
_FINE = frozenset({True, None})  # of samples: right, or not known


def agree_on_digests(candidates: Sequence[Candidate], images: Sequence[str]) -> dict[str, Digest]:
    """Return the digest of each image that its registry, or more than half of the others, say.

    An image is missing if there is no such digest. If only one candidate was asked, it is right.
    """
    found = {}
    for image in images:
        said = {each.url: each.digests[image] for each in candidates if image in each.digests}
        own = {each.url for each in candidates if each.is_own}
        agreed = _choose(said, own)
        if agreed is not None:
            found[image] = agreed
    return found


def list_different(candidate: Candidate, agreed: Mapping[str, Digest]) -> list[str]:
    """Return the images of which a candidate says another digest than the agreed one."""
    return [
        image for image, digest in candidate.digests.items() if agreed.get(image, digest) != digest
    ]


def list_disputed(
    candidates: Sequence[Candidate], agreed: Mapping[str, Digest]
) -> dict[str, dict[str, Digest]]:
    """Return who says what of each image on whose digest nobody agrees."""
    images = dict.fromkeys(image for each in candidates for image in each.digests)
    return {
        image: {each.url: each.digests[image] for each in candidates if image in each.digests}
        for image in images
        if image not in agreed
    }


def compare_samples(candidates: Sequence[Candidate]) -> None:
    """Fail the candidates whose bytes of the layer differ from those that are right.

    Bytes are right if the layer they belong to has its digest; else as for digests of tags.
    """
    sampled = [each for each in candidates if each.samples]
    proven = {
        each.url
        for each in sampled
        if {True} <= {sample.is_right for sample in each.samples} <= _FINE
    }
    trusted = proven or {each.url for each in sampled if each.is_own}
    numbers = {number for each in sampled for sample in each.samples for number in sample.blocks}
    for number in sorted(numbers):
        sent = {each.url: _list_blocks(each, number) for each in sampled}
        right = _choose({url: blocks[0] for url, blocks in sent.items() if blocks}, trusted)
        for candidate in sampled:
            blocks = sent[candidate.url]
            if len({*blocks}) > 1:
                candidate.fail(Step.DOWNLOAD, "sends other bytes of the same layer each time")
            elif blocks and right is not None and blocks[0] != right:
                candidate.fail(Step.DOWNLOAD, "sends wrong bytes: the others send the same ones")
            elif blocks and right is None:
                candidate.note("the candidates send different bytes, and nobody knows who is right")


def _list_blocks(candidate: Candidate, number: int) -> list[bytes]:
    """Return the hashes of one block in the samples that have it."""
    return [each.blocks[number] for each in candidate.samples if number in each.blocks]


def _choose(said: Mapping[str, _Answer], trusted: set[str]) -> _Answer | None:
    """Return what the trusted ones say, or else more than half of all; None if there is neither."""
    believed = [answer for url, answer in said.items() if url in trusted] or [*said.values()]
    if not believed:
        return None
    ((answer, count), *_) = Counter(believed).most_common(1)
    return answer if 2 * count > len(believed) else None
