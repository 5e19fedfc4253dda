"""Laws of measuring candidates that serve older images than the registry."""

from registry.upstream.candidate import Step
from tests.fakes.upstream import FakeUpstream
from tests.unit.upstream.test_candidates import BIG, NAME, measure


async def test_an_older_image_is_the_reason_for_a_missing_layer(hub: FakeUpstream) -> None:
    """What is wrong is the digest that it says for the tag; the layer is missing because of it."""
    hub.add_image(NAME, "1", [BIG])
    with FakeUpstream() as old:
        old.add_image(NAME, "1", [BIG[1:]])
        _, candidate = (await measure(hub, old)).candidates
    assert (candidate.failed, candidate.why) == (
        Step.TAGS,
        f"says another digest for {NAME}:1",
    )
