"""Laws of measuring a transfer: what the endpoint does counts, and not what the reader does."""

from contextlib import suppress

import pytest

from registry.upstream.measurements import Measurements
from registry.upstream.meter import INTERVAL, Meter, Stream

MIB = 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(Measurements(lambda: 1e6), clock)


def send(clock: Clock, stream: Stream, size: int, seconds: float, held: float = 0.0) -> None:
    """Let `size` bytes come after `seconds`, which the reader takes after `held` seconds."""
    clock.now += seconds
    stream.receive(size)
    clock.now += held
    stream.resume()


def test_the_rate_begins_with_the_first_bytes(meter: Meter, clock: Clock) -> None:
    """The time before them is another value, and they may have been buffered."""
    with meter.open_stream() as stream:
        send(clock, stream, 8 * MIB, 5.0)
        for _ in range(4):
            send(clock, stream, MIB, 0.125)

    assert meter.measured.performance.rate == pytest.approx(8 * MIB)
    assert meter.sent == meter.measured.received == 12 * MIB


def test_a_long_body_is_known_before_its_end(meter: Meter, clock: Clock) -> None:
    with meter.open_stream() as stream:
        send(clock, stream, 1, 0.1)
        send(clock, stream, MIB, INTERVAL)
        assert meter.measured.performance.rate == pytest.approx(MIB)


def test_a_short_body_says_nothing(meter: Meter, clock: Clock) -> None:
    with meter.open_stream() as stream:
        send(clock, stream, 1000, 0.1)
        send(clock, stream, 1000, 0.001)

    assert meter.measured.performance.rate is None


def test_a_stall_counts(meter: Meter, clock: Clock) -> None:
    with suppress(TimeoutError), meter.open_stream() as stream:
        send(clock, stream, 1, 0.1)
        send(clock, stream, MIB, 0.5)
        clock.now += 19.5
        raise TimeoutError

    assert meter.measured.performance.rate == pytest.approx(MIB / 20)


def test_a_slow_reader_does_not_make_the_endpoint_slow(meter: Meter, clock: Clock) -> None:
    """Its rate is a lower bound of the endpoint's rate."""
    with meter.open_stream() as stream:
        send(clock, stream, 1, 0.1)
        send(clock, stream, 4 * MIB, 1.0)
    with meter.open_stream() as stream:
        for _ in range(5):
            send(clock, stream, MIB, 0.0, held=10.0)

    assert meter.measured.performance.rate == pytest.approx(4 * MIB)


def test_the_time_after_the_last_bytes_belongs_to_the_reader(meter: Meter, clock: Clock) -> None:
    """A download that is paused closes the stream while it holds bytes."""
    with suppress(GeneratorExit), meter.open_stream() as stream:
        send(clock, stream, 1, 0.1)
        clock.now += 0.5
        stream.receive(MIB)
        clock.now += 60.0
        raise GeneratorExit

    assert meter.measured.performance.rate == pytest.approx(2 * MIB)


def test_connections_are_added_up(meter: Meter, clock: Clock) -> None:
    with meter.open_stream() as one, meter.open_stream() as other:
        for stream in (one, other):
            send(clock, stream, 1, 0.0)
        for _ in range(3):
            for stream in (one, other):
                send(clock, stream, MIB, 0.25)

    known = meter.measured.performance
    assert known.rate == pytest.approx(2 * MIB, rel=0.25)
    assert known.total == pytest.approx(4 * MIB, rel=0.1)


def test_one_connection_has_no_total(meter: Meter, clock: Clock) -> None:
    for _ in range(2):
        with meter.open_stream() as stream:
            send(clock, stream, 1, 0.0)
            send(clock, stream, MIB, 2.0)

    assert meter.measured.performance.total is None


def test_what_a_thread_does_beside_reading_is_not_the_endpoint(meter: Meter, clock: Clock) -> None:
    """A thread that mostly waits for the disk says nothing about the endpoint, but its bytes do."""
    with meter.open_stream() as stream:
        send(clock, stream, MIB, 1.0)
        for waited in (0.5, 0.5):
            stream.hand_over()
            clock.now += 0.5
            stream.take_back(2 * MIB, waited)
            stream.resume()
        known = meter.measured.performance.rate
        assert known == pytest.approx(4 * MIB)
        stream.hand_over()
        clock.now += INTERVAL
        stream.take_back(MIB, 0.1)
        stream.resume()

    assert meter.measured.performance.rate == known
    assert meter.sent == 6 * MIB
