"""`entrepot setup`: its options, and what it does with them."""

import os
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from registry.cli.messages import MISUSED, fail, report_errors, warn
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.cli.setup.actions import (
    find_planner,
    make_plan,
    restart_client,
    set_up,
    undo_setup,
)
from registry.cli.setup.inputs import read_mirror
from registry.clients.files import ClientFiles
from registry.clients.installation import Installation
from registry.clients.mirror import is_loopback
from registry.clients.plan import Scope
from registry.reports.setup_text import draw_setup

_RECORD = "setup.json"

_Client = Annotated[
    str,
    typer.Argument(
        metavar="CLIENT",
        help="docker, docker-29, containerd, nerdctl, podman, buildah, skopeo, cri-o, buildkit,"
        " k3s, rke2, kind or minikube.",
    ),
]
_MirrorUrl = Annotated[
    str,
    typer.Option(
        "--mirror",
        metavar="URL",
        help="The address of the mirror. Default: the mirror of this machine, by its settings.",
    ),
]
_Registries = Annotated[
    str,
    typer.Option(
        "--registries", metavar="A,B", help="Only for these registries. Default: all that it knows."
    ),
]
_Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="The certificate of the authority that signed the mirror's."
    ),
]
_TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="A file with a token of the mirror."),
]
_Write = Annotated[bool, typer.Option("--write", help="Write the files, and keep copies.")]
_UNREACHED = (
    "another machine does not reach {url}: name the address that it uses, as in --mirror"
    " http://10.0.0.5:5000"
)
_Undo = Annotated[bool, typer.Option("--undo", help="Undo what --write has written.")]
_Restart = Annotated[
    bool, typer.Option("--restart", help="Restart the client, if a file was written.")
]
_User = Annotated[
    bool, typer.Option("--user", help="The files of this user, as for rootless clients.")
]
_Root = Annotated[
    Path,
    typer.Option(
        "--root",
        metavar="DIR",
        show_default=False,
        help="Where the files are, as below the root of another machine's disk. Default: /.",
    ),
]


def set_up_client(
    client: _Client,
    *,
    mirror: _MirrorUrl = "",
    registries: _Registries = "",
    ca: _Ca = None,
    token_file: _TokenFile = None,
    write: _Write = False,
    undo: _Undo = False,
    restart: _Restart = False,
    user: _User = False,
    root: _Root = Path("/"),
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show how to point a client at a mirror, or do it.

    This prints each file as it would be: what is in it stays, with its comments. With --write, the
    files are written, and copies of the former ones are kept beside them; --undo restores them.
    Nothing is restarted without --restart.

    Example: entrepot setup docker --mirror http://10.0.0.5:5000 --write
    """
    planner = find_planner(client)
    if write and undo:
        fail("--write and --undo exclude each other", MISUSED)
    if restart and not (write or undo):
        fail("--restart needs --write or --undo", MISUSED)
    is_elsewhere = root != Path("/")
    if restart and is_elsewhere:
        fail("--restart is for this machine, and not for another --root", MISUSED)
    with report_errors():
        scope = Scope(_find_home() if user else None)
        record = scope.choose("/etc/entrepot", ".config/entrepot") / _RECORD
        installation = Installation(ClientFiles(root), record)
        if undo:
            report = undo_setup(installation, client)
        else:
            wanted = read_mirror(mirror, registries, ca, token_file, config)
            plan = make_plan(client, planner, wanted, scope, installation)
            report = set_up(installation, client, wanted, plan, write=write)
            if is_elsewhere and not mirror and is_loopback(wanted.url):
                warn(_UNREACHED.format(url=wanted.url))
    if restart and report.files:
        report = restart_client(report)
    draw = partial(draw_setup, root=str(root)) if is_elsewhere else draw_setup
    print_report(report, draw, as_json=as_json)


def _find_home() -> PurePosixPath:
    """Return the home of this user; end the command if it is not known."""
    home = os.environ.get("HOME", "")
    if not home.startswith("/"):
        fail(f"--user needs the variable HOME, which is {home!r}", MISUSED)
    return PurePosixPath("/", home.lstrip("/"))  # two slashes at the beginning are another root
