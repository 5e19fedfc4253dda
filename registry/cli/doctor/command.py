"""`entrepot doctor`: its options, and what it does with them."""

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from registry import __version__
from registry.cli.doctor.client_checks import ClientChecks, find_machine, find_unknown
from registry.cli.doctor.drawing import draw_doctor
from registry.cli.doctor.server_checks import has_server, report_settings_error, run_checks
from registry.cli.doctor.threads import AbandonedThreads
from registry.cli.messages import MISUSED, fail, report_errors
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.cli.setup.inputs import read_mirror
from registry.clients.diagnosis.known import EXAMINED
from registry.clients.mirror import Mirror
from registry.errors import MirrorAddressInvalid, SettingsError
from registry.logs import configure_logs
from registry.oci.image_patterns import parse_image
from registry.oci.names import Repository
from registry.oci.registries import Registries
from registry.reports.doctor.findings import DoctorReport, Finding, report_findings, skip
from registry.settings.configuration import Configuration
from registry.settings.loading import load_configuration

# The tool asks Docker Hub for it, if it does not use the mirror: it is there, and the tag is not,
# so that nothing is counted.
PROBED = "docker.io/library/busybox"

_MirrorUrl = Annotated[
    str,
    typer.Option(
        "--mirror",
        metavar="URL",
        help="The address of the mirror. Default: the mirror of this machine, by its settings.",
    ),
]
_Clients = Annotated[
    str,
    typer.Option(
        "--client",
        metavar="A,B",
        help=f"Only these clients, of {', '.join(EXAMINED)}. Default: all that are found.",
    ),
]
_Probe = Annotated[
    str,
    typer.Option(
        "--probe",
        metavar="IMAGE",
        show_default=False,
        help="Let clients pull a tag of this image that does not exist. Default:"
        " docker.io/library/busybox.",
    ),
]
_Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="The certificate of the authority that signed the mirror's."
    ),
]
_Root = Annotated[
    Path,
    typer.Option(
        "--root",
        metavar="DIR",
        show_default=False,
        help="Where the files of clients are, as below another root. Default: /.",
    ),
]


def examine(
    mirror: _MirrorUrl = "",
    *,
    client: _Clients = "",
    probe: _Probe = PROBED,
    ca: _Ca = None,
    root: _Root = Path("/"),
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Find out whether all is well, and whether the clients of this machine use the mirror.

    Beside a server, its settings, disk, catalog, processes, certificate and upstreams are checked.
    Then each client pulls a tag that does not exist, and the mirror is asked whether it has seen
    that. It asks no upstream for it; a client without the mirror asks the registry. No pull is
    counted, and nothing is changed. Exit 1 if something failed; each finding says why, and what
    helps.

    Example: entrepot doctor --mirror http://10.0.0.5:5000
    """
    configure_logs(logging.CRITICAL)
    clients = [each.strip() for each in client.split(",") if each.strip()]
    clients = ["docker" if each == "docker-29" else each for each in clients]
    if unknown := find_unknown(clients):
        fail(f"{unknown[0][:40]!r} is none of {', '.join(EXAMINED)}", MISUSED)
    with report_errors():
        repository = _read_probe(probe)
        asked = _Asked(mirror, clients, repository, ca, root, config)
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(AbandonedThreads())
            report = runner.run(asked.examine())
    print_report(report, draw_doctor, as_json=as_json)
    if not report.well:
        raise typer.Exit(1)


def _read_probe(image: str) -> Repository:
    """Return the repository of an image; its tag does not matter.

    Raises:
        InvalidInput: it is no name of an image.
    """
    repository, _ = parse_image(image, Registries.of("docker.io", {"docker.io": ()}))
    return repository


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the user has asked for; without an `address`, the mirror of this machine is meant."""

    address: str
    clients: Sequence[str]
    repository: Repository
    ca: Path | None
    root: Path
    config: Path | None

    async def examine(self) -> DoctorReport:
        """Make all checks at the same time."""
        configuration: Configuration | SettingsError
        try:
            configuration = load_configuration(self.config, os.environ)
        except SettingsError as error:
            configuration = error
        mirror = self._find_mirror()
        server, clients = await asyncio.gather(
            self._check_server(configuration), self._check_clients(mirror)
        )
        url = mirror.url if isinstance(mirror, Mirror) else ""
        return report_findings(__version__, url, server, clients)

    def _find_mirror(self) -> Mirror | Finding:
        """Return the mirror, or the finding that it is not known where it is."""
        try:
            return read_mirror(self.address, "", self.ca, None, self.config)
        except (SettingsError, MirrorAddressInvalid) as error:
            if self.address:
                raise
            return skip("mirror", f"It is not known where the mirror is: {error}.")

    async def _check_server(self, configuration: Configuration | SettingsError) -> list[Finding]:
        """Check the server, unless the user means the mirror of another machine."""
        if isinstance(configuration, SettingsError):
            return [] if self.address else [report_settings_error(configuration)]
        if self.address and not has_server(configuration.settings):
            return []
        return await run_checks(configuration)

    async def _check_clients(self, mirror: Mirror | Finding) -> list[Finding]:
        if isinstance(mirror, Finding):
            return [mirror]
        machine, is_named = find_machine(self.root), bool(self.address)
        return await ClientChecks(machine, mirror, self.repository, is_named).run(self.clients)
