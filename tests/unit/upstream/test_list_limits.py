"""Laws of lists of upstreams: what they may contain, and how much of them is read."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator

import pytest

from registry.errors import ReferrersUnsupported, UpstreamFaulty
from registry.oci.digest import Digest
from registry.oci.manifest import MAX_DESCRIPTORS
from registry.upstream import pagination
from registry.upstream.registry import RegistrySource
from tests.fakes.upstream import FakeUpstream, Fault, Status
from tests.harness.process_parts import open_source

NAME = "library/thing"
DIGEST = Digest.of(b"subject")


@pytest.fixture
async def source(hub: FakeUpstream) -> AsyncIterator[RegistrySource]:
    hub.add_image(NAME, "a", [b"layer"])
    async with open_source(hub.url) as source:
        yield source


@pytest.mark.parametrize(
    "entry",
    ['{"size": NaN}', '{"size": 1e999}', '{"size": -Infinity}', '{"a":' * 90_000, "9" * 5000],
)
async def test_referrers_that_are_no_json_are_refused(
    hub: FakeUpstream, source: RegistrySource, entry: str
) -> None:
    """Numbers that JSON does not have are not passed on to clients."""
    kind = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    hub.faults.add(Fault("referrers", Status(200, f'{{"manifests": [{entry}]}}', kind)))
    with pytest.raises(ReferrersUnsupported):
        await source.list_referrers(NAME, DIGEST)


async def test_deep_referrers_are_left_out(hub: FakeUpstream, source: RegistrySource) -> None:
    """What no client could write again is not passed on."""
    deep = '{"a":' * 100 + "1" + "}" * 100
    kind = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    page = f'{{"manifests": [{deep}, {{"digest": "d", "annotations": {{"a": "b"}}}}, "text"]}}'
    hub.faults.add(Fault("referrers", Status(200, page, kind)))

    found = await source.list_referrers(NAME, DIGEST)

    assert found.entries == [{"digest": "d", "annotations": {"a": "b"}}]
    assert "2 entries that are no descriptors" in found.warning


async def test_values_are_counted_before_they_take_memory(
    hub: FakeUpstream, source: RegistrySource
) -> None:
    """A page of a million empty objects is refused without making them."""
    page = '{"tags": [' + "{}," * 1_000_000 + "{}]}"
    hub.faults.add(Fault("tags", Status(200, page, {"Content-Type": "application/json"})))
    with pytest.raises(UpstreamFaulty):
        await source.list_tags(NAME)


async def test_long_list_is_cut(
    hub: FakeUpstream, source: RegistrySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without end is read up to a limit of bytes, with a warning."""
    monkeypatch.setattr(pagination, "MAX_LIST", 100)
    for number in "123":
        headers = {"Link": f"</v2/x?last={number}>; rel=next"}
        page = json.dumps({"tags": [number * 60]})
        hub.faults.add(Fault("tags", Status(200, page, headers)))

    found = await source.list_tags(NAME)

    assert found.entries == ["1" * 60, "2" * 60]
    assert "longer" in found.warning


@pytest.mark.parametrize(("count", "is_cut"), [(3, False), (4, True)])
async def test_referrers_are_counted(
    hub: FakeUpstream,
    source: RegistrySource,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    *,
    is_cut: bool,
) -> None:
    """Of a page with too many descriptors, the first ones are kept, with a warning."""
    monkeypatch.setattr("registry.upstream.registry.MAX_DESCRIPTORS", 3)
    kind = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    page = json.dumps({"manifests": [{"size": number} for number in range(count)]})
    hub.faults.add(Fault("referrers", Status(200, page, kind)))

    found = await source.list_referrers(NAME, DIGEST)

    assert found.entries == [{"size": number} for number in range(3)]
    assert ("only the first 3 entries" in found.warning) == is_cut


@pytest.mark.parametrize("is_packed", [False, True])
async def test_long_lists_are_read_in_a_thread(
    hub: FakeUpstream, source: RegistrySource, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool
) -> None:
    """While 100,000 small descriptors are compared, the process answers others."""
    threads: set[int] = set()

    def is_descriptor(value: object) -> bool:
        threads.add(threading.get_ident())
        return isinstance(value, dict)

    monkeypatch.setattr("registry.upstream.registry._is_descriptor", is_descriptor)
    headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    text = json.dumps({"manifests": [{"a": number} for number in range(30_000)]})
    body = gzip.compress(text.encode()) if is_packed else text.encode()
    headers |= {"Content-Encoding": "gzip"} if is_packed else {}
    hub.faults.add(Fault("referrers", Status(200, body, headers)))

    found = await source.list_referrers(NAME, DIGEST)

    assert len(found.entries) == MAX_DESCRIPTORS
    assert threads
    assert threading.get_ident() not in threads


async def test_only_some_long_lists_are_read_at_once(
    hub: FakeUpstream, source: RegistrySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory for lists is limited, however many clients ask for different ones."""
    monkeypatch.setattr(pagination, "SMALL_LIST", 10)
    running: list[int] = []
    most = 0

    class Gate(asyncio.Semaphore):
        async def acquire(self) -> bool:
            nonlocal most
            done = await super().acquire()
            running.append(1)
            most = max(most, len(running))
            return done

        def release(self) -> None:
            running.pop()
            super().release()

    monkeypatch.setattr(source, "_long_lists", Gate(2))
    names = [f"team/n{number}" for number in range(8)]
    for name in names:
        hub.add_image(name, "some-long-tag", [b"layer"])
    found = await asyncio.gather(*(source.list_tags(name) for name in names))

    assert [each.entries for each in found] == [["some-long-tag"]] * len(names)
    assert 0 < most <= 2
