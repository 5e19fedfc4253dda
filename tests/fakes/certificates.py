"""A certificate authority for one test, made with the `openssl` command."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """A root certificate, and a certificate for 127.0.0.1 and some names; PEM files."""

    root: Path
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """The TLS context of a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        """The TLS context of a client that trusts the root."""
        return ssl.create_default_context(cafile=str(self.root))


def make_authority(folder: Path, *hosts: str) -> Authority:
    """Make a root and one certificate in `folder`; skip the test without openssl.

    The certificate is for 127.0.0.1, localhost and `hosts`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not installed")
    root, root_key = folder / "root.pem", folder / "root.key"
    certificate, key = folder / "server.pem", folder / "server.key"
    names = ("localhost", *hosts)
    usage, subjects = (
        "keyUsage=critical,keyCertSign,cRLSign",
        ",".join(["subjectAltName=IP:127.0.0.1", *(f"DNS:{name}" for name in names)]),
    )
    signed = ("-CA", str(root), "-CAkey", str(root_key))
    for out, secret, extension, more in (
        (root, root_key, usage, ()),
        (certificate, key, subjects, signed),
    ):
        command = [openssl, "req", "-x509", *KEY, "-subj", f"/CN={out.stem} of a test"]
        command += ["-out", str(out), "-keyout", str(secret), "-addext", extension, *more]
        subprocess.run(command, check=True, capture_output=True)
    return Authority(root, certificate, key)
