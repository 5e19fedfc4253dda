"""Laws of tables: they fit a terminal, names of images are never cut, and pipes get whole rows."""

import pytest

from registry.cli.tables import Table, lay_out, make_table, print_table

DIGEST = "sha256:" + "0123456789abcdef" * 4
SHORT = "docker.io/library/nginx:1.27"
OTHER = "docker.io/library/redis:7"
LONG = "registry.example.net:5000/platform-team/observability/collector:v0.112.0-nightly"
BY_DIGEST = f"docker.io/library/app@{DIGEST}"


def make_images(*names: str) -> Table:
    """Return a table with the columns of `images ls`."""
    columns = ("IMAGE", "DIGEST", "SIZE", "STORED")
    table = make_table(*columns, numbers=("SIZE",), names="IMAGE")
    for name in names:
        table.add_row(name, DIGEST, "298 KiB", "linux/amd64, linux/arm64")
    return table


def test_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe each row is one line of any length, and numbers are aligned right."""
    table = make_table("IMAGE", "SIZE", numbers=("SIZE",), names="IMAGE")
    table.add_row("a/" * 600 + "b:latest", "1 KiB")
    table.add_row("short", "12.5 KiB")

    print_table(table)

    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["IMAGE", "SIZE"]
    assert first.split() == ["a/" * 600 + "b:latest", "1", "KiB"]
    assert len(first) == len(second), "aligned to the right"


def test_a_pipe_gets_no_blanks_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Digests are complete, since programs compare them; several names stay in one row."""
    table = make_table("DIGEST", "NEEDED BY", names="NEEDED BY")
    table.add_row(DIGEST, f"{SHORT}\n{LONG}")
    table.add_row(DIGEST, "")

    print_table(table)

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{DIGEST}  {SHORT}, {LONG}"
    assert lines[2] == DIGEST


def test_a_terminal_gets_short_digests(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal digests have twelve digits, and a row is one line."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    table = make_table("DIGEST", "PLACE")
    table.add_row(DIGEST, f"docker.io/library/app@{DIGEST}")

    print_table(table)

    row = capsys.readouterr().out.splitlines()[1]
    assert row.split() == ["sha256:0123456789ab", "docker.io/library/app@sha256:0123456789ab…"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_names_are_whole_in_every_width(width: int) -> None:
    """A name is never cut, even if it is longer than the terminal; other text is folded."""
    names = (SHORT, LONG, BY_DIGEST)
    _, lines = lay_out(make_images(*names), width)
    assert [name for name in names if not any(name in line for line in lines)] == []
    if width >= 60:
        assert [each for each in lines if len(each) > width and each not in names] == []


def test_only_a_long_name_gets_a_line_of_its_own() -> None:
    """If there is room for most names, only a long name gets its own line."""
    _, lines = lay_out(make_images(SHORT, LONG), 110)
    short, long, row = lines
    assert short.startswith(f"{SHORT} ")
    assert long == LONG
    assert row.split() == ["sha256:0123456789ab", "298", "KiB", "linux/amd64,", "linux/arm64"]
    assert short.index("sha256:") == row.index("sha256:")


def test_without_room_all_names_get_lines_of_their_own() -> None:
    """If there is no room for names, the other columns keep their width."""
    head, lines = lay_out(make_images(SHORT, LONG), 60)
    assert head[0] == "IMAGE"
    assert lines[0::2] == [SHORT, LONG]
    assert len(set(lines[1::2])) == 1
    assert lines[1].strip().endswith("linux/amd64, linux/arm64")


def test_names_in_the_last_column_are_whole_too() -> None:
    """Names that fit are below each other; a longer one and those after it get the next lines."""
    table = make_table("BLOB", "SIZE", "NEEDED BY", numbers=("SIZE",), names="NEEDED BY")
    table.add_row(DIGEST, "4 KiB", f"{SHORT}\n{SHORT}\n{LONG}\n{OTHER}")
    _, lines = lay_out(table, 80)
    assert [each.split()[-1] for each in lines] == [SHORT, SHORT, LONG, OTHER], "as in a pipe"
    assert lines[0].index(SHORT) == lines[1].index(SHORT)


def test_text_is_folded_between_words() -> None:
    """A text column is narrowed before a name is moved; only words that fill it are broken."""
    table = make_table("PLACE", "WHY")
    table.add_row("chart/templates/deployment.yaml:14", "a template " * 10)
    _, lines = lay_out(table, 60)
    assert max(map(len, lines)) <= 60
    assert "chart/templates/deployment.yaml:14" in lines[0]


def test_whole_text_is_not_folded() -> None:
    """A long text beside it is folded instead, so that ages such as `2 min ago` stay readable."""
    columns = ("IMAGE", "SIZE", "PULLED", "PINNED")
    table = make_table(*columns, numbers=("SIZE",), names="IMAGE", whole=("PULLED",))
    table.add_row(SHORT, "298 KiB", "2 min ago", "kept by 1.27-alpine3.20-perl-slim")
    _, lines = lay_out(table, 48)
    assert any("2 min ago" in line for line in lines)
    assert max(map(len, lines)) <= 48


def test_wide_letters_are_aligned() -> None:
    """A letter that takes two columns of a terminal counts as two."""
    table = make_table("PLACE", "SIZE", numbers=("SIZE",))
    table.add_row("镜像.yaml", "1 B")
    table.add_row("image.yaml", "2 B")
    _, (wide, narrow) = lay_out(table, 40)
    assert (wide, narrow) == ("镜像.yaml    1 B", "image.yaml   2 B")
