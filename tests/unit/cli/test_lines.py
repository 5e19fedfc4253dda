"""Laws of lines on a terminal: words stay whole, and so do commands, so that they can be copied."""

import io

import pytest
import typer

import registry.__main__ as program
from registry.cli import lines
from registry.cli.lines import break_lines, find_width, print_line
from registry.cli.messages import INTERRUPTED, report_errors
from registry.cli.printing import Summary, print_report
from registry.cli.terminal import FREE, Bars, open_progress
from registry.reports.lines import Verbatim
from tests.unit.cli.test_download_bars import make_console

DIGEST = "sha256:" + "0123456789abcdef" * 4
ADVICE = "entrepot: docker.io/team/app:1 is pinned; unpin it first: entrepot images unpin "

PINNED = """\
entrepot: docker.io/team/app:1 is
  pinned; unpin it first:
  entrepot images unpin docker.io/team/app:1"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a short line", "a short line"),
        (
            "entrepot: no images: nothing was named; name images, or a file with --file",
            "entrepot: no images: nothing was named;\n  name images, or a file with --file",
        ),
        (
            "    1 layer is omitted: name the earlier bundle with --since",
            "    1 layer is omitted: name the earlier\n      bundle with --since",
        ),
        (
            f"{ADVICE}docker.io/team/app:1",
            PINNED,
        ),
        (
            "readable by: entrepot bundle import; docker load, podman load",
            "readable by: entrepot bundle import;\n  docker load, podman load",
        ),
        (
            "it is a private key; make its public half: openssl pkey -in a.pem -pubout -out b.pem",
            (
                "it is a private key; make its public\n  half:\n"
                "  openssl pkey -in a.pem -pubout -out b.pem"
            ),
        ),
        (
            "the catalog is lost; a server or `entrepot serve` makes it again",
            "the catalog is lost; a server or\n  `entrepot serve` makes it again",
        ),
        (f"  digest     {DIGEST}", f"  digest     {DIGEST}"),
        (f"removed: {'name' * 9}", f"removed:\n  {'name' * 9}"),
        (f"  {'name' * 9}  linux/amd64", f"  {'name' * 9}\n    linux/amd64"),
        (f"tag moved to {DIGEST} now", f"tag moved to\n  {DIGEST}\n  now"),
        ("one\n" + "two " * 12, "one\n" + ("two " * 10).strip() + "\n  two two"),
    ],
)
def test_lines_are_broken_between_words(text: str, expected: str) -> None:
    """What follows is indented; a command at the end has a line of its own."""
    assert break_lines(text, 40) == expected
    assert break_lines(text, 0) == text


def test_a_very_narrow_terminal_breaks_lines_itself() -> None:
    """There is no space for words and an indentation."""
    assert break_lines(ADVICE, 19) == ADVICE


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs read lines, so nothing is broken or shortened there."""
    assert find_width(io.StringIO()) == 0
    long = f"wrote {DIGEST}: {'word ' * 20}"
    print_report(None, lambda _: [Summary(long)], as_json=False)
    print_line(long, err=True)
    assert capsys.readouterr() == (f"{long}\n", f"{long}\n")


def test_a_terminal_gets_broken_and_short_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A summary has short digests, and what is to be copied stays as it is."""
    monkeypatch.setattr(lines, "find_width", lambda _: 60)
    monkeypatch.setattr("registry.cli.printing.find_width", lambda _: 60)
    path = f"/srv/{'with blanks ' * 8}.tar"
    summary = Summary(f"wrote {DIGEST}: 2 images, 8 blobs; file size 516 KiB, signed")
    print_report(None, lambda _: [summary, Verbatim(path)], as_json=False)
    assert capsys.readouterr().out == (
        "wrote sha256:0123456789ab…: 2 images, 8 blobs; file size 516\n  KiB, signed\n"
        + path
        + "\n"
    )


def test_some_columns_after_a_bar_stay_free() -> None:
    """There is space for the `^C` of a terminal; else the bar would stay when it is removed."""
    assert isinstance(open_progress("verifying", 0), Bars)
    console = make_console()
    bars = Bars(console, auto_refresh=False)
    bars.add_task("verifying", total=100)
    with console.capture() as drawn:
        console.print(*bars.get_renderables())
    assert 70 < len(drawn.get().rstrip("\n")) <= 80 - FREE


def test_ctrl_c_ends_every_command_with_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is so while a command works, and while the program is still being imported."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended, report_errors():
        interrupt()
    assert ended.value.exit_code == INTERRUPTED
    monkeypatch.setattr("registry.cli.main.run", interrupt)
    with pytest.raises(SystemExit) as left:
        program.run()
    assert left.value.code == INTERRUPTED
    assert capsys.readouterr().err == "entrepot: interrupted\n" * 2
