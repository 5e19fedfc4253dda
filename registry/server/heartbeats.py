"""A page of memory that all processes share: when each last beat, and what it has open and uses.

Workers look there whether another one has fewer clients, and the background process for `/readyz`
and for the metrics of what is open now.
"""

import mmap
import struct
import time
from collections.abc import Collection
from dataclasses import astuple, dataclass

BACKGROUND = -1  # the number of the background process; workers count from 0
REBUILD = -2  # the number of the process that makes a lost catalog again, while no other runs
# These are written separately, so that none overwrites another.
_TIME = struct.Struct("d")
_CONNECTIONS = struct.Struct("q")
_LOAD = struct.Struct("qqqqd")  # begins with the connections too
_VITALS = struct.Struct("qq")
_PLACE = struct.Struct("dqqqqdqq")
_VITALS_AT = _PLACE.size - _VITALS.size
_COUNT = struct.Struct("q")
_LOADING = struct.Struct("?d")
SLACK = 2  # connections that a worker may have more than another without being ahead
DEAD = 5.0  # seconds without a beat after which a process counts as stuck or dead
REFUSING = 5.0  # seconds after a refusal for which a worker counts as overloaded
NEARLY_ALL = 0.9  # the part of the descriptors whose use counts as overload


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What one worker has open; `refused_at` is when it last refused a client for want of room.

    Times are those of `time.monotonic`, which all processes share; 0 means never.
    """

    connections: int
    connection_limit: int
    descriptors: int
    descriptor_limit: int
    refused_at: float = 0.0

    def explain_overload(self, now: float) -> str:
        """Return why the worker cannot take more clients; empty if it can. Pure."""
        if self.refused_at and now - self.refused_at < REFUSING:
            return f"refuses clients: {self.connections} of {self.connection_limit} connections"
        if self.descriptors > NEARLY_ALL * self.descriptor_limit:
            return f"has {self.descriptors} of {self.descriptor_limit} files and sockets open"
        return ""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What one process uses: bytes of memory; and how many clients read its downloads."""

    memory: int
    readers: int = 0


class Heartbeats:
    """Heartbeats, loads and vitals of all processes of a server, in memory that forks share.

    After the places of the processes, it has how many of them were replaced since they died or did
    not answer, and whether the settings were loaded when that was last asked for.
    """

    def __init__(self, workers: int, replaced: int = 0) -> None:
        """`workers` are from 0; there is also a place for `BACKGROUND` and one for `REBUILD`.

        `replaced` is how many processes were replaced before.
        """
        self._workers = workers
        self._end = _find_place(workers)
        self._loading = self._end + _COUNT.size
        self._memory = mmap.mmap(-1, self._loading + _LOADING.size)
        _COUNT.pack_into(self._memory, self._end, replaced)
        # The settings were loaded just now: each loading begins a new page.
        _LOADING.pack_into(self._memory, self._loading, True, time.time())

    @property
    def replaced(self) -> int:
        """How many processes were replaced since the server has started."""
        count: int = _COUNT.unpack_from(self._memory, self._end)[0]
        return count

    def note_replaced(self) -> None:
        """Note that a process is replaced; only the supervisor calls this."""
        _COUNT.pack_into(self._memory, self._end, self.replaced + 1)

    def note_not_reloaded(self) -> None:
        """Note that the settings were not loaded again; only the supervisor calls this."""
        _LOADING.pack_into(self._memory, self._loading, False, self.read_loading()[1])

    def read_loading(self) -> tuple[bool, float]:
        """Return whether the last loading of the settings succeeded, and when one last did.

        The time is in epoch seconds.
        """
        succeeded, loaded_at = _LOADING.unpack_from(self._memory, self._loading)
        return succeeded, loaded_at

    def set_vitals(self, number: int, vitals: Vitals) -> None:
        """Note what process `number` uses."""
        place = _find_place(number) + _VITALS_AT
        _VITALS.pack_into(self._memory, place, vitals.memory, vitals.readers)

    def read_vitals(self) -> dict[int, Vitals]:
        """Return what each living process uses, by its number."""
        now = time.monotonic()
        numbers = (BACKGROUND, *range(self._workers))
        return {
            number: Vitals(*_VITALS.unpack_from(self._memory, _find_place(number) + _VITALS_AT))
            for number in numbers
            if (beat := self.last_beat(number)) and 0 <= now - beat < DEAD
        }

    def beat(self, number: int) -> None:
        """Note that process `number` is alive."""
        _TIME.pack_into(self._memory, _find_place(number), time.monotonic())

    def last_beat(self, number: int) -> float:
        """Return when process `number` last beat, in seconds of the monotonic clock; 0 if never."""
        beat: float = _TIME.unpack_from(self._memory, _find_place(number))[0]
        return beat

    def set_connections(self, number: int, connections: int) -> None:
        """Note how many connections worker `number` has."""
        _CONNECTIONS.pack_into(self._memory, _find_place(number) + _TIME.size, connections)

    def set_load(self, number: int, load: WorkerLoad) -> None:
        """Note what worker `number` has open."""
        _LOAD.pack_into(self._memory, _find_place(number) + _TIME.size, *astuple(load))

    def is_ahead(self, number: int) -> bool:
        """Whether another living worker has considerably fewer connections than worker `number`."""
        own = self._read()[number][1].connections
        others = self.read_loads().values()
        return any(own > SLACK + other.connections * 5 // 4 for other in others)

    def list_living(self) -> Collection[int]:
        """Return the numbers of the workers that have beaten within the last `DEAD` seconds."""
        return self.read_loads().keys()

    def read_loads(self) -> dict[int, WorkerLoad]:
        """Return what each living worker has open, by its number."""
        now = time.monotonic()
        return {
            number: load
            for number, (beat, load) in enumerate(self._read())
            if beat and 0 <= now - beat < DEAD
        }

    def explain_overload(self) -> str:
        """Return a sentence about the first worker that is overloaded; empty if none is."""
        now = time.monotonic()
        loads = self.read_loads().items()
        reasons = ((number, load.explain_overload(now)) for number, load in loads)
        return next((f"worker {number} {why}" for number, why in reasons if why), "")

    def list_silent(self) -> list[int]:
        """Return the numbers of workers that have beaten, but not in the last `DEAD` seconds.

        Their clients wait. A worker that has not started yet has no clients.
        """
        living = self.list_living()
        return [
            number
            for number in range(self._workers)
            if self.last_beat(number) and number not in living
        ]

    def was_ever_alive(self) -> bool:
        """Whether any worker has ever beaten."""
        return any(beat for beat, _ in self._read())

    def _read(self) -> list[tuple[float, WorkerLoad]]:
        """Return the last beat and the load of each worker."""
        places = self._memory[_find_place(0) : _find_place(self._workers)]
        return [(beat, WorkerLoad(*load)) for beat, *load, _, _ in _PLACE.iter_unpack(places)]


def name_process(number: int) -> str:
    """Return the name of a process for people."""
    names = {BACKGROUND: "background", REBUILD: "rebuild"}
    return names.get(number, f"worker {number}")


def _find_place(number: int) -> int:
    return _PLACE.size * (number - REBUILD)
