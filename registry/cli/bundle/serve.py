"""`entrepot bundle serve`: serve the images of a bundle from its files."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.addresses import EVERYWHERE, Console, Listen
from registry.cli.bundle.arguments import Keys, check_signer, open_bundle, warn_unchecked
from registry.cli.lines import print_line
from registry.cli.messages import report_errors
from registry.cli.numbers import read_number
from registry.cli.printing import Summary, print_report
from registry.cli.terminal import format_bytes, format_count, format_missing_volumes
from registry.errors import SettingsError
from registry.settings.faults import build_server

if TYPE_CHECKING:
    from registry.bundle.load.result import Imported
    from registry.bundle.read.head import Opened
    from registry.oci.manifest import Descriptor

_CLIENTS = """\
Docker before 29: /etc/docker/daemon.json, for Docker Hub's images
  {{ "registry-mirrors": ["http://{address}"],
    "insecure-registries": ["{address}"] }}

containerd: /etc/containerd/certs.d/_default/hosts.toml
Docker 29: /etc/docker/certs.d/_default/hosts.toml
  server = "http://{address}"
  [host."http://{address}"]
    capabilities = ["pull", "resolve"]

k3s, RKE2: /etc/rancher/k3s/registries.yaml
  mirrors: {{ "*": {{ endpoint: ["http://{address}"] }} }}

Podman: /etc/containers/registries.conf.d/entrepot.conf
{podman}"""
_PODMAN = """\
  [[registry]]
  prefix = "{name}"
  location = "{address}/{name}"
  insecure = true
"""


_Bundle = Annotated[
    list[Path],
    typer.Argument(metavar="BUNDLE...", help="A bundle's file, folder, or volumes."),
]
_Workers = Annotated[
    int,
    typer.Option(
        metavar="N", parser=read_number(0, 64), help="Processes; 0: one per core, at most 4."
    ),
]


def serve_bundle(
    bundle: _Bundle,
    listen: Listen = "127.0.0.1:5000",  # type: ignore[assignment]
    console: Console = "127.0.0.1:5001",  # type: ignore[assignment]
    workers: _Workers = 0,
    key: Keys = None,
) -> None:
    """Serve a bundle's images until SIGTERM or Ctrl-C, without importing or copying them.

    Name all volumes that an image needs; exit 1 if no image is complete.

    Example: entrepot bundle serve /media/usb/images.tar --listen 0.0.0.0:5000
    """
    from registry.cli.screen_lines import format_bundle_banner  # noqa: PLC0415
    from registry.cli.screen_process import open_screen  # noqa: PLC0415
    from registry.server.bundle_server import serve_bundle as run  # noqa: PLC0415

    with report_errors(), _name_options():
        server = build_server(listen=listen, console=console, workers=workers)
        with open_bundle(bundle) as opened, open_screen(format_bundle_banner) as is_on_terminal:
            warn_unchecked(opened, check_signer(opened, key or ()), bundle)
            report = partial(_print_start, opened)
            started = run(opened, server, report, is_on_terminal=is_on_terminal)
    if not started:
        raise typer.Exit(1)


@contextmanager
def _name_options() -> Iterator[None]:
    """In errors about settings, name the options, because this command reads no settings."""
    try:
        yield
    except SettingsError as error:
        option = error.key.replace("server.", "--")
        why = error.why.replace("server.", "--")
        raise SettingsError(option, why, error.cure) from error


def _print_start(opened: "Opened", done: "Imported", size: int, listening: str) -> None:
    """Print which images are served, which are not, and how to configure clients."""
    print_report(opened, partial(_draw_start, done=done, size=size), as_json=False)
    if done.images:
        address = _find_address(listening)
        host = address.rpartition(":")[0]
        print_line(
            "\nClients pull by the images' own names, with this."
            f" {host} has to be a name or an address of this machine that they know:\n"
        )
        typer.echo(_format_clients(done, address))


def _draw_start(opened: "Opened", done: "Imported", size: int) -> Iterator[str]:
    whole = f" of {format_bytes(opened.lock.size)}" if size < opened.lock.size else ""
    count = format_count(len(done.images), "image")
    yield Summary(f"{opened.lock.bundle_id}: {count}, {format_bytes(size)}{whole}")
    if done.volumes:
        yield format_missing_volumes(done.volumes, done.volume_count)
    for image in done.images:
        if not image.is_extra:
            yield f"  {image.name}  {', '.join(image.platforms)}".rstrip()
    for name, missing in done.incomplete.items():
        yield f"not served: {name}: {_explain(opened, missing)}"
    for name, why in done.refused.items():
        yield f"not served: {name}: {why}"
    yield from opened.source.flaws.messages


def _explain(opened: "Opened", missing: "Sequence[Descriptor]") -> str:
    omitted = dict(opened.lock.omitted)
    count = format_count(len(missing), "blob")
    are = "is" if len(missing) == 1 else "are"
    if all(each.digest in omitted for each in missing):
        return f"{count} {are} omitted from this delta; import it: entrepot bundle import"
    return f"{count} {are} missing or damaged"


def _find_address(listening: str) -> str:
    """Return the address that clients may use."""
    host, _, port = listening.rpartition(":")
    return f"{socket.gethostname()}:{port}" if host in EVERYWHERE else listening


def _format_clients(done: "Imported", address: str) -> str:
    names = sorted({image.repository.registry for image in done.images})
    podman = "\n".join(_PODMAN.format(name=name, address=address) for name in names)
    return _CLIENTS.format(address=address, podman=podman)
