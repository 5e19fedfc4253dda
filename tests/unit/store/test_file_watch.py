"""Laws of noticing that files have changed."""

from pathlib import Path

from registry.store.file_watch import POLL, FileWatch


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """Two files, and a watch of them."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first", folder / "second"
        self.first.write_text("1")
        self.second.write_text("2")
        self.clock = Clock()
        self.watch = FileWatch([self.first, self.second], self.clock)

    def look(self) -> bool:
        """Return what the next look finds."""
        self.clock.now += POLL
        return self.watch.has_changed()


def test_a_change_is_told_once(tmp_path: Path) -> None:
    """Of any of the files, whatever changed: content, name, mode, or whether it is there."""
    site = Site(tmp_path)
    assert not site.look()

    changes = [
        lambda: site.first.write_text("longer"),
        lambda: site.second.write_text("3"),
        lambda: site.second.chmod(0o640),
        lambda: (tmp_path / "new").write_text("4") and (tmp_path / "new").replace(site.first),
        site.second.unlink,
        lambda: site.second.write_text("2"),
    ]
    for change in changes:
        change()
        assert (site.look(), site.look()) == (True, False)


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As in a mounted secret, whose files are links into a folder that is replaced."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("same size")
    link = tmp_path / "current"
    link.symlink_to("old")
    clock = Clock()
    watch = FileWatch([link / "key"], clock)

    link.unlink()
    link.symlink_to("new")
    clock.now += POLL

    assert watch.has_changed()


def test_it_looks_a_few_times_a_second(tmp_path: Path) -> None:
    """However often somebody asks, so that asking costs nothing."""
    site = Site(tmp_path)
    site.first.write_text("longer")

    assert [site.watch.has_changed() for _ in range(100)] == [False] * 100
    assert site.look()


def test_what_changes_before_the_first_look_is_found(tmp_path: Path) -> None:
    """Whoever makes the watch reads the files afterwards, and the change may be later than that."""
    site = Site(tmp_path)
    site.second.write_text("changed while it was read")
    assert site.look()


def test_a_change_is_told_again_if_it_could_not_be_read(tmp_path: Path) -> None:
    """At each look until it could, but not in between; further changes are told as ever."""
    site = Site(tmp_path)
    site.first.write_text("longer")
    assert site.look()

    site.watch.look_again()

    assert not site.watch.has_changed()
    assert (site.look(), site.look()) == (True, False)
    site.second.write_text("longer")
    assert site.look()
