"""The commands by which a client pulls an image, and what their errors mean. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

from registry.clients.diagnosis.cause import Cause, advise_setup
from registry.clients.mirror import Mirror

_RKE2 = "/var/lib/rancher/rke2"


@dataclass(frozen=True, slots=True)
class PullCommand:
    """A command, of which the first word is the program; `needs_dockerfile` if it builds.

    It `is_partial` if it is another program than the one that people use, with the same files.
    """

    words: tuple[str, ...]
    needs_dockerfile: bool = False
    is_partial: bool = False


def list_pulls(client: str, image: str, certificates: PurePath) -> Sequence[PullCommand]:
    """Return the commands that pull, the best first; one whose program is missing is left out.

    `certificates` is the folder `certs.d`, which `ctr` has to be told.
    """
    kubernetes = PullCommand(("crictl", "pull", image))
    ctr = ("ctr", "images", "pull", "--hosts-dir", str(certificates), image)
    build = ("buildctl", "build", "--frontend", "dockerfile.v0", "--progress", "plain")
    folders = ("--local", "context=.", "--local", "dockerfile=.")
    commands = {
        "docker": (PullCommand(("docker", "pull", "--quiet", image)),),
        "containerd": (kubernetes, PullCommand(ctr, is_partial=True)),
        "nerdctl": (PullCommand(("nerdctl", "pull", "--quiet", image)),),
        "podman": (PullCommand(("podman", "pull", "--quiet", image)),),
        "buildah": (PullCommand(("buildah", "pull", "--quiet", image)),),
        "skopeo": (PullCommand(("skopeo", "inspect", "--no-tags", f"docker://{image}")),),
        "cri-o": (kubernetes,),
        "buildkit": (PullCommand((*build, *folders), needs_dockerfile=True),),
        "k3s": (PullCommand(("k3s", "crictl", "pull", image)),),
        "rke2": (
            PullCommand(
                (
                    f"{_RKE2}/bin/crictl",
                    "--config",
                    f"{_RKE2}/agent/etc/crictl.yaml",
                    "pull",
                    image,
                )
            ),
        ),
    }
    return commands.get(client, ())


# What Go's libraries say, and what that means: the kind, and the sentence after the client's name.
_MEANINGS = (
    ("certificate signed by unknown authority", "ca", "does not know who signed the certificate"),
    ("failed to verify certificate", "ca", "does not accept the certificate of the mirror"),
    ("server gave HTTP response to HTTPS", "insecure", "asks the mirror by TLS, which it has not"),
    ("HTTP request to an HTTPS server", "scheme", "asks the mirror without TLS"),
    ("proxyconnect", "proxy", "cannot reach its proxy"),
    ("no such host", "name", "finds no address for the name of the mirror"),
    (
        "connection refused",
        "refused",
        "reaches the machine of the mirror, where nobody listens",
    ),
    ("i/o timeout", "timeout", "gets no answer from the mirror"),
    ("unauthorized", "login", "has no login for the mirror"),
)


_OPTIONS = MappingProxyType(
    {
        "ca": ("--ca", "ca.crt"),
        "insecure": (),
        "scheme": (),
        "login": ("--token-file", "token"),
    }
)
_LONGEST = 300  # characters of a line of output


def explain_output(client: str, output: str, mirror: Mirror) -> Cause | None:
    """Return what the output of a pull says of the mirror; None if it says nothing of it."""
    for line in output.splitlines():
        if mirror.host not in line:
            continue
        for text, kind, meaning in _MEANINGS:
            if text.lower() in line.lower():
                cure = f"curl -v {mirror.url}/v2/"
                if kind in _OPTIONS:
                    cure = advise_setup(client, mirror, *_OPTIONS[kind])
                return Cause(kind, f"{client} {meaning}", (shorten(line),), cure)
    return None


def shorten(line: str) -> str:
    """Return the end of a line of output, where programs say what is wrong."""
    text = line.strip()
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
