"""The unit of systemd and the file of logrotate fit the program, and those programs accept them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from registry.cli.main import build_cli
from registry.server.supervisor import GRACE
from registry.settings.places import SYSTEM_DATA, SYSTEM_FILE
from tests.clients.conftest import require
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser
from tests.integration.images import keep, make_layer
from tests.integration.wire import fetch, wait_until

CONFIG = Path(__file__).resolve().parents[2] / "config"
UNIT = CONFIG / "systemd" / "entrepot.service"


def read_values(name: str) -> list[str]:
    """Return the values of a setting of the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """Every line of it is known, but for the program, which is not installed here."""
    require("" if shutil.which("systemd-analyze") else "systemd-analyze")
    text = UNIT.read_text().replace("/opt/entrepot/bin/entrepot", sys.executable)
    (tmp_path / "entrepot.service").write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "entrepot.service"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    said = [line for line in done.stderr.splitlines() if "entrepot.service" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_a_wrong_line_would_be_noticed(tmp_path: Path) -> None:
    """The test above can fail."""
    require("" if shutil.which("systemd-analyze") else "systemd-analyze")
    (tmp_path / "x.service").write_text(f"[Service]\nExecStart={sys.executable}\nProtectHose=yes\n")
    command = ["systemd-analyze", "verify", "--man=no", tmp_path / "x.service"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "ProtectHose" in done.stderr


def test_the_command_of_the_unit_exists() -> None:
    """It is what an installation makes, with the settings file of the system."""
    (start,) = read_values("ExecStart")
    program, command, *options = shlex.split(start)

    assert program == "/opt/entrepot/bin/entrepot"
    found = typer.main.get_command(build_cli()).commands[command]
    assert options == ["--config", str(SYSTEM_FILE)]
    assert "--config" in {name for each in found.params for name in each.opts}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KillMode", "mixed"),  # systemd signals the supervisor, which drains its children
        ("RestartPreventExitStatus", "2"),  # wrong settings; data of a newer version
        ("StateDirectory", str(SYSTEM_DATA.relative_to("/var/lib"))),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("ProtectSystem", "strict"),
    ],
)
def test_the_unit_fits_the_program(name: str, value: str) -> None:
    """Signals, exit codes and folders are those of the program."""
    assert read_values(name) == [value]


def list_allowed(name: str) -> set[str]:
    """Return the system calls of a set of systemd, with those of the sets in it."""
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = {line.strip() for line in done.stdout.splitlines()[1:]}
    return found.union(*(list_allowed(each) for each in found if each.startswith("@")))


def test_the_program_makes_no_other_system_calls(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path
) -> None:
    """Those of all processes, from the start over a pull, pages and a removal to the end."""
    for program in ("strace", "systemd-analyze"):
        require("" if shutil.which(program) else program)
    (allowed,) = read_values("SystemCallFilter")
    trace = tmp_path / "trace"
    mirror = make_mirror(workers=1)
    mirror.stop()
    mirror.start_anew(under=["strace", "-f", "-qq", "-o", str(trace)])

    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))
    console = ConsoleBrowser(mirror)
    for path in ("/", "/images", "/metrics"):
        assert console.ask(path).status == 200
    assert console.act("remove", "docker.io/team/app:1").status == 303
    mirror.kill()

    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(errors="replace"), re.MULTILINE))
    assert {"sendfile", "flock", "accept4", "fallocate"} <= made
    assert made - list_allowed(allowed) == set()


def test_the_unit_waits_until_answers_are_finished() -> None:
    """systemd kills what is left later than the supervisor does."""
    assert int(read_values("TimeoutStopSec")[0]) > GRACE


def test_logrotate_accepts_its_file(tmp_path: Path) -> None:
    """A dry run of logrotate reports no error."""
    require("" if shutil.which("logrotate") else "logrotate")
    copy = tmp_path / "entrepot"
    copy.write_text((CONFIG / "logrotate" / "entrepot").read_text())
    copy.chmod(0o644)
    command = ["logrotate", "--debug", "--state", tmp_path / "state", copy]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "error" in done.stderr) == (0, False), done.stderr


def test_a_log_that_is_truncated_goes_on(make_mirror: MirrorMaker) -> None:
    """After `copytruncate` the next line is at the beginning of the file, without zeros before."""
    mirror = make_mirror(workers=1)
    fetch(f"{mirror.url}/v2/")
    wait_until(lambda: mirror.events("request"), "a line for the request")
    copied = mirror.log()
    with mirror.log_path.open("r+b") as log:
        log.truncate()

    fetch(f"{mirror.url}/v2/")

    wait_until(lambda: mirror.events("request"), "a line in the new file")
    assert mirror.log().startswith("{")
    assert "\0" not in mirror.log()
    assert len(mirror.log()) < len(copied)
