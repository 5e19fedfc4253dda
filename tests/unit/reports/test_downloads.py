"""Laws of running downloads: their speed, and the time that is left."""

from registry.content.usage import RunningDownload
from registry.oci.digest import Digest
from registry.reports.console.downloads import MEMORY, DownloadWatch

BLOB = Digest.of(b"blob")


class Disk:
    """The downloads that the test lets run."""

    def __init__(self) -> None:
        self.arrived: int | None = 100
        self.expected: int | None = 1100

    def look(self) -> list[RunningDownload]:
        if self.arrived is None:
            return []
        return [RunningDownload(BLOB, "docker.io/team/app", self.arrived, self.expected)]


def test_two_looks_are_a_speed() -> None:
    """The first look knows none; the second one says what came between them, and what is left."""
    disk = Disk()
    watch = DownloadWatch(disk.look)
    (first,) = watch.take(10.0)
    disk.arrived = 300
    (second,) = watch.take(12.0)

    assert (first.rate, first.seconds_left) == (None, None)
    assert (second.rate, second.seconds_left) == (100.0, 8.0)


def test_many_lookers_do_not_disturb_each_other() -> None:
    """A second look at the same moment says the same."""
    disk = Disk()
    watch = DownloadWatch(disk.look)
    watch.take(10.0)
    disk.arrived = 300
    watch.take(12.0)
    (again,) = watch.take(12.1)

    assert again.rate == 100.0


def test_what_is_long_ago_says_nothing() -> None:
    """A look of long ago is no speed of now; and neither is one of a former download."""
    disk = Disk()
    watch = DownloadWatch(disk.look)
    watch.take(10.0)
    (late,) = watch.take(10.0 + MEMORY + 1)
    disk.arrived = None
    assert watch.take(30.0) == []
    disk.arrived = 500
    (anew,) = watch.take(31.0)

    assert late.rate is None
    assert anew.rate is None


def test_an_unknown_size_has_no_end() -> None:
    """The speed is known, and the time that is left is not."""
    disk = Disk()
    disk.expected = None
    watch = DownloadWatch(disk.look)
    watch.take(10.0)
    disk.arrived = 300
    (second,) = watch.take(12.0)

    assert (second.rate, second.seconds_left) == (100.0, None)
