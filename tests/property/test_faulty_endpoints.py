"""Laws of blobs that come from several endpoints, whatever these do: also if some send wrong bytes.

Everything above the transport of httpx is real; the endpoints and the clock are simulated.
"""

import asyncio
import hashlib
import random
from collections import Counter
from typing import Any, ClassVar

import pytest
import structlog
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from tests.fakes.virtual_endpoints import CHUNK, VirtualEndpoint, origin_of
from tests.harness.sizes import list_sizes
from tests.property.endpoint_site import MEMORY, EndpointSite, Reader
from tests.property.machines import run_machine

MIB = 1024 * 1024
SIZE = 5 * MIB + 4321
PARTS = 16  # of a blob, of which an endpoint may send wrong bytes
RATES = (MIB // 2, MIB, 4 * MIB, 16 * MIB)
COUNT = 3
LEAST_REPLACED = 0.7  # of the blobs with wrong bytes of one endpoint beside others
REPLACED = "wrong bytes replaced"  # the event of the log
FAULTS = ("well", "stall", "cut", "no connection", "throttle", "other size", *["lie"] * 4, "slow")
Change = tuple[float, int, str, int, int]  # after so many seconds, this endpoint, what, and where
changes = st.lists(
    st.tuples(
        st.sampled_from([0.05, 0.2, 0.6]),
        st.integers(0, COUNT - 1),
        st.sampled_from(FAULTS),
        st.integers(0, PARTS - 1),
        st.sampled_from([1, SIZE // PARTS, SIZE // PARTS]),
    ),
    max_size=4,
)
# One rule for all of it: hypothesis would leave out some of several, and with them the pulls. Each
# strategy is made anew, as `one_of` takes the same one only once.
ACTIONS = st.one_of(
    *(
        st.tuples(st.just("pull"), changes, changes, st.sampled_from([0.3, 3.0, 25.0]))
        for _ in range(3)
    ),
    st.tuples(
        st.just("pull_beside_a_liar"),
        st.integers(0, COUNT - 1),
        st.sets(st.integers(0, PARTS - 1), min_size=2, max_size=8),
        st.sampled_from([1, SIZE // PARTS]),
    ),
    st.tuples(st.just("leave"), st.integers(0, 10)),
)


class FaultyEndpoints(RuleBasedStateMachine):
    """One blob after the other, from three endpoints that change all the time.

    `counts` says of how many blobs one endpoint alone has sent wrong bytes beside the others, and
    of how many of these the wrong bytes were replaced.
    """

    counts: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.logs = structlog.testing.capture_logs()
        self.events = self.logs.__enter__()
        self.endpoints = [VirtualEndpoint(f"https://{each}.example") for each in "abc"]
        self.number = 0
        self.on_disk = 0  # bytes that were there when the last download began
        self.has_lied = False  # since the blob was first asked for

    @initialize(
        rates=st.tuples(*[st.sampled_from(RATES)] * COUNT), connections=st.sampled_from([1, 3])
    )
    def begin(self, rates: tuple[int, ...], connections: int) -> None:
        self.rates = rates
        self.make_well()
        self.site = EndpointSite(self.endpoints, connections)
        self.begin_blob()

    def begin_blob(self) -> None:
        self.number += 1
        self.content = random.Random(self.number).randbytes(SIZE)
        self.digest = Digest.of(self.content)
        self.site.allow(self.digest, SIZE)
        for endpoint in self.endpoints:
            endpoint.content = self.content
            endpoint.has_lied = False
        self.on_disk, self.has_lied = 0, False

    def wait(self, seconds: float) -> None:
        self.site.run(asyncio.sleep(seconds))

    def join(self) -> None:
        """Let a reader come; if the last blob is stored, it asks for another one."""
        if not self.site.is_downloading:
            if self.site.is_stored(self.digest):
                self.begin_blob()
            self.on_disk = self.site.written
            for endpoint in self.endpoints:
                endpoint.requests.clear()
        self.site.join(Reader(self.content), self.digest)

    @rule(action=ACTIONS)
    def act(self, action: tuple[Any, ...]) -> None:
        name, *values = action
        getattr(self, name)(*values)

    def pull(self, before: list[Change], after: list[Change], seconds: float) -> None:
        """Let a reader come; endpoints change before it comes, and while its blob is downloaded."""
        self.make_well()
        for change in before:
            self.behave(*change)
        self.join()
        for change in after:
            self.wait(change[0])
            self.laws_hold()
            self.behave(*change)
        self.wait(seconds)

    def pull_beside_a_liar(self, number: int, parts: set[int], length: int) -> None:
        """Let a blob come from all endpoints, of which one lies; nobody knows yet that it does."""
        self.make_well()
        if self.site.written or self.site.is_downloading:
            self.join()
        self.wait(60.0)
        self.site.forget_endpoints()
        for endpoint in self.endpoints:
            endpoint.rate = RATES[1]  # so that no one sends all of it
        for part in parts:
            self.behave(0.0, number, "lie", part, length)
        for _ in range(2):  # the others may not be asked again yet, so that the first try fails
            self.join()
            self.wait(60.0)
            if self.site.is_stored(self.digest):
                break
        assert self.site.is_stored(self.digest), "one liar keeps a blob from being stored"
        if self.endpoints[number].has_lied:
            self.counts["wrong"] += 1
            replaced = [each["blob"] for each in self.events if each["event"] == REPLACED]
            self.counts["replaced"] += str(self.digest) in replaced

    def leave(self, number: int) -> None:
        if self.site.readers:
            self.site.readers[number % len(self.site.readers)].task.cancel()
            self.wait(0)

    def behave(self, _: float, number: int, fault: str, part: int, length: int) -> None:
        endpoint = self.endpoints[number]
        if fault == "cut":
            endpoint.cut()
        elif fault == "lie":
            start = part * SIZE // PARTS
            endpoint.lies = [*endpoint.lies, Span(start, start + length)]
        elif fault == "slow":
            endpoint.rate = RATES[0]
        else:
            endpoint.is_stalled = fault == "stall"
            endpoint.has_connection = fault != "no connection"
            endpoint.throttled = part if fault == "throttle" else None
            endpoint.size = SIZE + 1 if fault == "other size" else None
            endpoint.stir()
        event(fault)

    def make_well(self) -> None:
        for endpoint, rate in zip(self.endpoints, self.rates, strict=True):
            endpoint.rate = rate
            endpoint.is_stalled, endpoint.has_connection = False, True
            endpoint.throttled = endpoint.size = None
            endpoint.lies = []
            endpoint.stir()

    # What must be true whatever happened.

    @invariant()
    def laws_hold(self) -> None:
        self.stored_blobs_are_right()
        self.readers_are_never_deceived()
        self.every_byte_is_sent_once()
        self.only_liars_are_named()
        self.memory_is_bounded()

    def stored_blobs_are_right(self) -> None:
        for name, content in self.site.list_stored():
            assert hashlib.sha256(content).hexdigest() == name, "wrong bytes are stored"

    def readers_are_never_deceived(self) -> None:
        """Nobody has a whole wrong blob, or gets more after wrong bytes than was in their file."""
        for reader in self.site.readers:
            assert reader.is_right or len(reader.got) < SIZE, "a whole wrong blob"
            assert not reader.is_whole or reader.got == reader.content
            if reader.at_error is not None and not reader.is_right:
                assert len(reader.got) == reader.at_error, "wrong bytes were continued"
        self.site.forget_readers()

    def every_byte_is_sent_once(self) -> None:
        """A byte is asked for again only if it did not come; so it comes once.

        A request that is given up since others bring its rest may have sent one chunk of that.
        """
        self.note_lies()
        if self.has_lied:
            return
        changes: list[tuple[int, int]] = [(0, 1), (self.on_disk, -1)]
        for endpoint in self.endpoints:
            for request in endpoint.requests:
                start, count = request.asked.start, request.count
                if count < request.asked.length:
                    count = max(0, count - CHUNK)
                changes += [(start, 1), (start + count, -1)]
        at_once = 0
        for _, change in sorted(changes):
            at_once += change
            assert at_once <= 1, "bytes were sent twice"

    def note_lies(self) -> None:
        """Notice wrong bytes: they have to be asked for again, and compared with others."""
        for endpoint in self.endpoints:
            self.has_lied |= endpoint.has_lied

    def only_liars_are_named(self) -> None:
        for line in self.events:
            if line["event"] == REPLACED and line["blob"] == str(self.digest):
                liars = [origin_of(each) for each in self.endpoints if each.has_lied]
                assert line["endpoint"] in liars

    def memory_is_bounded(self) -> None:
        for download in self.site.parts.downloads._running.values():
            assert 0 <= download._turn.taken <= MEMORY
        requests = [request for endpoint in self.endpoints for request in endpoint.requests]
        if not self.has_lied and self.site.is_downloading and self.site.written:
            held = self.on_disk + sum(each.count for each in requests) - self.site.written
            assert held <= MEMORY + len(requests) * CHUNK

    def teardown(self) -> None:
        try:
            self.end_well()
        finally:
            self.site.close()
            self.logs.__exit__(None, None, None)

    def end_well(self) -> None:
        """When all endpoints are well again, the blob can be pulled."""
        self.make_well()
        self.wait(60.0)
        for _ in range(2 if self.has_lied else 1):
            reader = Reader(self.content)
            self.site.join(reader, self.digest)
            self.wait(60.0)
            if reader.is_whole:
                break
        assert reader.is_whole
        self.stored_blobs_are_right()
        self.readers_are_never_deceived()


def run(examples: int, steps: int) -> Counter[str]:
    """Run the machine, and return its counts."""

    class Counted(FaultyEndpoints):
        counts = Counter()  # noqa: RUF012 - all examples of one run count together

    run_machine(Counted, examples, steps)
    return Counted.counts


@pytest.mark.parametrize(
    ("examples", "steps"), list_sizes((10, 5), long=(40, 10), full=(3000, 20), seconds=3600)
)
def test_faulty_endpoints(examples: int, steps: int) -> None:
    """Whatever the endpoints do, bytes are right, or not stored; hardly one comes twice.

    In most blobs, wrong bytes of one endpoint beside others are found by comparing, and replaced.
    """
    counts = run(examples, steps)
    assert counts["wrong"] >= examples / 4, counts
    assert counts["replaced"] >= LEAST_REPLACED * counts["wrong"], counts
