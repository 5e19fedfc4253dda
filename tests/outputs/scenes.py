"""What is recorded: a new user's way, with mistakes, from an empty folder through an air gap."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from registry.cli.help import list_commands
from registry.cli.main import build_cli
from tests.fakes.upstream import FakeUpstream
from tests.outputs.runs import Output, Runner

HELP = "Help"  # the title of the section with the help of each command
# The folder on the page. The real one has a name of the same length, so that lines break alike.
_SHOWN = Path("/srv/entrepot")
_DEPLOY = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - {name: app, image: "team/app:1"}
        - {name: tool, image: "team/a-rather-long-name/of-an-image/that-does-not-fit:2026-01-01"}
"""


@dataclass(slots=True)
class Stage:
    """A folder with two sides of an air gap, and the upstream of the connected side.

    `record` has the titles and the outputs so far. `names` stand for other texts on the page.
    """

    folder: Path
    hub: FakeUpstream
    record: list[tuple[str, list[Output]]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def begin(self, title: str) -> None:
        """Begin a section of the page."""
        self.record.append((title, []))

    def run(self, command: str, *, stdin: str = "", again: bool = True, side: str = "here") -> None:
        """Run a command; `again` also without a terminal. `side` is whose settings it uses."""
        words = command.replace("/srv/", f"{self.folder}/").split()
        self.record[-1][1].append(self._runner(side).run(*words, stdin=stdin, again=again))

    def interrupt(self, command: str, when: Callable[[], bool]) -> None:
        """Run a command, and press Ctrl-C when a condition is true."""
        self.record[-1][1].append(self._runner("here").interrupt(*command.split(), when=when))

    def _runner(self, side: str) -> Runner:
        environment = {
            "ENTREPOT_CONFIG": str(self.folder / f"{side}.toml"),
            "HOME": str(self.folder / "home"),
        }
        return Runner(environment, {str(self.folder): str(_SHOWN), **self.names})


def prepare(folder: Path, hub: FakeUpstream) -> Stage:
    """Write the settings, a list of images and keys; fill the upstream."""
    upstream = f'[upstreams."docker.io"]\nendpoints = ["{hub.url}"]\n'
    listen = '[server]\nlisten = "127.0.0.1:0"\nconsole = "127.0.0.1:0"\n'
    for side, more in (("here", upstream), ("there", "offline = true\n")):
        storage = f'[storage]\npath = "{folder}/{side}"\nreserve = 0\n'
        first, second = (more, storage) if side == "there" else (storage, more)
        (folder / f"{side}.toml").write_text(first + second + listen)
    (folder / "wrong.toml").write_text("[storage]\nlimt = 1\n")
    (folder / "deploy.yaml").write_text(_DEPLOY)
    (folder / "home").mkdir()
    _write_keys(folder)
    chance = random.Random(7)
    base = chance.randbytes(300_000)
    parts = [
        hub.add_image("team/app", None, [base, chance.randbytes(9000)], platform=("linux", each))
        for each in ("amd64", "arm64")
    ]
    hub.add_index("team/app", "1", parts)
    name = "team/a-rather-long-name/of-an-image/that-does-not-fit"
    hub.add_image(name, "2026-01-01", [base, chance.randbytes(200_000)])
    hub.add_image("library/small", "latest", [chance.randbytes(2000)])
    return Stage(folder, hub)


def _write_keys(folder: Path) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "maker.pem").write_bytes(private)
    (folder / "maker.pub.pem").write_bytes(public)


def play(stage: Stage) -> None:
    """Run everything, in this order."""
    for scene in (_help, _nothing, _connected, _mistakes, _failures, _write, _carry, _keep):
        scene(stage)


def _help(stage: Stage) -> None:
    stage.begin(HELP)
    stage.run("", again=False)
    for command in list_help(typer.main.get_command(build_cli())):
        stage.run(command, again=False)
    stage.run("version")


def list_help(cli: object) -> Iterator[str]:
    """Yield `images ls --help` and so on, for each command and group of the command line."""
    context = cli.make_context("entrepot", ["version"])  # type: ignore[attr-defined]
    yield from (f"{command} --help" for command in list_commands(context))


def _mistakes(stage: Stage) -> None:
    stage.begin("Typing mistakes")
    for command in (
        "image ls",
        "images list",
        "pull nginx",
        "frobnicate",
        "images ls --jsno",
        "images pin",
        "images show UPPER:1",
        "images warm app@latest",
        "images warm app:1 --platform amd64/",
        "images warm app:1 --concurrency many",
        "images ls --platform amd64",
        "cache evict --to 100",
        "cache evict --to 100GX",
        "bundle create -o /srv/x.tar",
        "bundle create team/app:1 -o /srv/x.tar --mode half",
        "bundle info /srv/x.tar --top ten",
        "bundle serve /srv/deploy.yaml --listen here",
        "config check --config /srv/none.toml",
        "config check --config /srv/wrong.toml",
    ):
        stage.run(command)


def _nothing(stage: Stage) -> None:
    stage.begin("Nothing is stored yet")
    stage.run("config check")
    for command in (
        "images ls",
        "images ls nosuch",
        "images rm nosuch",
        "cache stats",
        "images warm",
        "images warm -f /srv/none.yaml",
        "images warm nosuch:1",
    ):
        stage.run(command)


def _connected(stage: Stage) -> None:
    stage.begin("The connected side")
    words = "images warm -f /srv/deploy.yaml --platform amd64"
    for command in (
        f"{words} --explain",
        f"{words} --dry-run",
        words,
        f"{words} --dry-run",
        f"{words} --quiet",
        "images warm small --platform amd64 --json",
        "images ls",
        "images ls nosuch",
        "images ls --quiet",
        "images ls --offline --platform amd64",
        "images ls --offline --platform arm64",
        "images show team/app:1",
        "images show team/app",
        "images pin team/app",
        "images pin team/app:1 --platform amd64",
        "images ls team/app",
        "images rm team/app:1",
        "images unpin team/app",
        "images unpin team/app:1",
        "images refresh team/app:1 --dry-run",
        "images refresh team/app:1",
        "cache stats",
        "cache audit",
        "cache backup /srv/backup",
        "cache evict --to 10GiB --dry-run",
    ):
        stage.run(command)


def _failures(stage: Stage) -> None:
    stage.begin("No upstream, no space, no permission, Ctrl-C")
    stage.hub.stop()
    stage.run("images warm team/other:1")
    stage.run("images refresh team/app:1")
    stage.hub.start()
    config = stage.folder / "offline.toml"
    config.write_text("offline = true\n" + (stage.folder / "here.toml").read_text())
    stage.run("images refresh team/app:1 --config /srv/offline.toml")
    stage.hub.hang()
    asked = len(stage.hub.journal)
    stage.interrupt("images warm team/slow:1", lambda: len(stage.hub.journal) > asked)
    stage.hub.unhang()
    closed = stage.folder / "closed"
    closed.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(closed, 65534, 65534)
    config = stage.folder / "closed.toml"
    config.write_text(f'storage.path = "{closed}"\n')
    stage.run("images ls --config /srv/closed.toml")
    config = stage.folder / "full.toml"
    config.write_text((stage.folder / "here.toml").read_text().replace("reserve = 0", _NO_SPACE))
    stage.run("images warm team/app:1 --platform arm64 --config /srv/full.toml")


_NO_SPACE = 'reserve = "100TiB"'


def _write(stage: Stage) -> None:
    stage.begin("Bundles: writing")
    for command in (
        "bundle create nosuch:1 -o /srv/x.tar",
        "bundle create team/app:1 -o /srv/x.tar --platform all",
        "bundle create team/app:1 -o /srv/x.tar --sign /srv/none.pem",
        "bundle create team/app:1 -o /srv/x.tar --sign /srv/maker.pub.pem",
        "bundle create -f /srv/deploy.yaml -o /srv/may.tar --platform amd64 --dry-run",
        "bundle create -f /srv/deploy.yaml -o /srv/may.tar --platform amd64 --sign /srv/maker.pem",
        "bundle create team/app:1 -o /srv/volumes/ --platform amd64 --volume-size 80KB",
        "bundle create small team/app:1 -o /srv/june.tar --platform amd64 --since /srv/may.tar",
        "bundle info /srv/may.tar",
        "bundle info /srv/june.tar",
        "bundle verify /srv/none.tar",
        "bundle verify /srv/deploy.yaml",
        "bundle verify /srv/may.tar",
        "bundle verify /srv/may.tar --key /srv/maker.pub.pem",
        "bundle verify /srv/may.tar --key /srv/maker.pem",
        "bundle diff /srv/may.tar /srv/june.tar",
        "bundle diff /srv/may.tar /srv/none.tar",
        "bundle check /srv/may.tar -f /srv/deploy.yaml --platform amd64",
        "bundle check /srv/june.tar small -f /srv/deploy.yaml --platform amd64",
        "bundle check /srv/june.tar small -f /srv/deploy.yaml --since /srv/may.tar",
        "bundle join /srv/volumes -o /srv/joined.tar",
    ):
        stage.run(command)
    small = random.Random(8).randbytes(2000)
    stage.hub.add_image("library/small", "latest", [small])
    stage.run("images refresh small")
    stage.run("bundle create small -o /srv/july.tar --platform amd64")
    damaged = bytearray((stage.folder / "may.tar").read_bytes())
    damaged[-100_000] ^= 1
    (stage.folder / "damaged.tar").write_bytes(damaged)
    stage.run("bundle verify /srv/damaged.tar")
    *_, last = sorted((stage.folder / "volumes").glob("*.tar"))
    last.rename(stage.folder / last.name)
    stage.run("bundle verify /srv/volumes")
    stage.run("bundle join /srv/volumes -o /srv/again.tar")


def _carry(stage: Stage) -> None:
    stage.begin("Bundles: the other side")
    need, key = "--need /srv/need.json", "--key /srv/maker.pub.pem"
    for command, again in (
        ("bundle import /srv/none.tar", True),
        (f"bundle import /srv/june.tar --dry-run {need}", True),
        (f"bundle import /srv/may.tar {key} --dry-run", True),
        (f"bundle import /srv/may.tar {key}", False),
        ("bundle import /srv/may.tar", True),
        (f"bundle import /srv/june.tar {need}", False),
        (f"bundle import /srv/july.tar {need}", False),
        ("bundle import /srv/june.tar", True),
        ("bundle import /srv/june.tar --move-back", False),
        (f"bundle import /srv/volumes {need}", True),
        ("images ls", True),
        ("images show team/app:1", True),
        ("images pin nosuch", True),
        ("bundle serve /srv/none.tar", True),
    ):
        stage.run(command, side="there", again=again)


def _keep(stage: Stage) -> None:
    stage.begin("Making space")
    for command, again in (
        ("images rm team/app:1 --dry-run", True),
        ("images rm team/app:1", False),
        ("images rm team/*", False),
        ("images rm team/*", True),
        ("cache evict --to 0", False),
        ("images ls", True),
        ("cache stats", True),
    ):
        stage.run(command, again=again)
