"""`entrepot tls`: certificates for a LAN, for the mirror and for its clients."""

import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from registry.cli.messages import report_errors
from registry.cli.printing import print_report
from registry.cli.session import Config, Json
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_moment
from registry.reports.certificates import ClientCertificate, ServerCertificate
from registry.reports.lines import Verbatim
from registry.settings.places import find_config, find_own_file, is_shipped, make_absolute

_FOLDER = "tls"  # beside the settings file
_DOCKER_29 = "docker 29, registry-mirrors"  # it looks for a mirror's where it does for Docker Hub's
_PORT = 5000  # of server.listen, if it was not changed

_Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="A name or address by which clients reach the mirror; may be repeated."
        " Default: the name of this machine.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="The folder. Default: tls, beside the settings file."
    ),
]
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a user.")]


def build_tls_app() -> typer.Typer:
    """Return the sub-command `tls`."""
    app = typer.Typer(
        help="Make certificates for a LAN, for the mirror and for its clients.",
        no_args_is_help=True,
    )
    app.command("self-signed")(make_server_certificate)
    app.command("client")(make_client_certificate)
    return app


def make_server_certificate(
    hosts: _Hosts = None, out: _Out = None, config: Config = None, as_json: Json = False
) -> None:
    """Make a certificate for the mirror, and what clients need to trust it.

    The first time, this makes an authority (CA), which is valid for ten years. Later it signs a new
    certificate with the same authority, so that clients need nothing new. A running mirror uses the
    new certificate within a second.

    Example: entrepot tls self-signed --host mirror.lan --host 10.0.0.5
    """
    # Imported only now: it takes long.
    from registry.access.authority_folder import AuthorityFolder  # noqa: PLC0415

    with report_errors():
        folder = AuthorityFolder(_find_folder(out, config))
        names = folder.list_hosts(hosts or [socket.gethostname()])
        authority, is_new = folder.open_or_make()
        written = folder.sign_server(authority, names)
    report = ServerCertificate(
        folder.certificate,
        authority.expires,
        is_new,
        written.certificate,
        written.key,
        names,
        written.expires,
        folder.is_for_root(written.key),
    )
    print_report(report, _draw_server, as_json=as_json)


def make_client_certificate(
    name: _Name, out: _Out = None, config: Config = None, as_json: Json = False
) -> None:
    """Make a certificate by which a client proves that it is a user.

    It is signed by the authority that entrepot tls self-signed has made. To end it before its time,
    remove the user.

    Example: entrepot tls client alice
    """
    from registry.access.authority_folder import AuthorityFolder  # noqa: PLC0415

    with report_errors():
        folder = AuthorityFolder(_find_folder(out, config))
        written = folder.sign_client(name)
    report = ClientCertificate(
        name, folder.certificate, written.certificate, written.key, written.expires
    )
    print_report(report, _draw_client, as_json=as_json)


def _find_folder(out: Path | None, config: Path | None) -> Path:
    """Return the folder of the certificates.

    It does not depend on the current folder: a second authority somewhere else would be a trap.

    Raises:
        SettingsError: the settings file that is named does not exist.
    """
    if out is not None:
        return make_absolute(out)
    file = find_config(config, os.environ)
    if file is None or is_shipped(file):
        file = find_own_file(os.environ)
    return make_absolute(file).parent / _FOLDER


def _draw_server(report: ServerCertificate) -> Iterator[str | Table]:
    made = "made an authority" if report.has_new_authority else "the authority is"
    yield f"{made}: {report.authority} (until {format_moment(report.authority_expires)})"
    yield f"made a certificate: {report.certificate} (until {format_moment(report.expires)})"
    yield f"it is for: {', '.join(report.hosts)}"
    yield ""
    yield "Write into [server] of the settings:"
    yield Verbatim(f'  tls_cert = "{report.certificate}"')
    yield Verbatim(f'  tls_key = "{report.key}"')
    if report.is_for_root:
        yield "If the mirror runs as another user than root, let it read the key, for example:"
        yield Verbatim(f"  chgrp entrepot {report.key} && chmod 640 {report.key}")
    yield ""
    yield (
        f"Give each client a copy of {report.authority.name}, and never of a key. {_PORT} is the"
        " port of server.listen:"
    )
    address = f"{_choose_name(report.hosts)}:{_PORT}"
    table = make_table("client", "where it belongs", whole=("where it belongs",))
    table.add_row("docker", f"/etc/docker/certs.d/{address}/ca.crt")
    table.add_row(_DOCKER_29, "/etc/docker/certs.d/docker.io/ca.crt")
    table.add_row("podman, skopeo, buildah, CRI-O", f"/etc/containers/certs.d/{address}/ca.crt")
    table.add_row("containerd", f'[host."https://{address}"] of hosts.toml: ca = "/.../ca.crt"')
    table.add_row("buildkit", f'[registry."{address}"] of buildkitd.toml: ca = ["/.../ca.crt"]')
    yield table
    yield ""
    yield "Or let this command do it on a client, such as docker:"
    ca = report.authority.name
    yield Verbatim(f"  entrepot setup docker --mirror https://{address} --ca {ca} --write")


def _choose_name(hosts: Sequence[str]) -> str:
    """Return a name that can stand in an address."""
    name = next(host for host in hosts if "*" not in host)
    return f"[{name}]" if ":" in name else name


def _draw_client(report: ClientCertificate) -> Iterator[str | Table]:
    yield f"made a certificate: {report.certificate} (until {format_moment(report.expires)})"
    yield f"its key: {report.key}"
    yield ""
    yield "Write into [server] of the settings, if it is not there yet, and reload:"
    yield Verbatim(f'  client_ca = "{report.authority}"')
    yield "Add the user, if there is none of this name:"
    yield Verbatim(f"  entrepot users add {report.name} --no-password")
    yield ""
    yield f"Give the client both files. MIRROR:{_PORT} is the address by which it pulls:"
    table = make_table("client", "where they belong", whole=("where they belong",))
    folder = f"certs.d/MIRROR:{_PORT}/client.cert and client.key"
    table.add_row("docker", f"/etc/docker/{folder}")
    table.add_row(_DOCKER_29, "/etc/docker/certs.d/docker.io/client.cert and client.key")
    table.add_row("podman, skopeo, buildah, CRI-O", f"/etc/containers/{folder}")
    files = f'"/.../{report.certificate.name}", "/.../{report.key.name}"'
    table.add_row(
        "containerd", f'[host."https://MIRROR:{_PORT}"] of hosts.toml: client = [[{files}]]'
    )
    yield table
