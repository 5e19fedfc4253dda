"""A certificate authority for one test, made with the `openssl` command."""

import shutil
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from registry.server.tls import TLSFiles

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """A root certificate, and a certificate for 127.0.0.1 and some names; PEM files."""

    root: Path
    certificate: Path
    key: Path
    names: tuple[str, ...] = ()

    @property
    def files(self) -> TLSFiles:
        """The files of a server that asks clients for no certificate."""
        return TLSFiles(str(self.certificate), str(self.key))

    @property
    def files_of_users(self) -> TLSFiles:
        """The files of a server that asks clients for a certificate of this authority."""
        return TLSFiles(str(self.certificate), str(self.key), str(self.root))

    def server_context(self) -> ssl.SSLContext:
        """The TLS context of a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self, certificate: Path | None = None) -> ssl.SSLContext:
        """The TLS context of a client that trusts the root, and may have a certificate."""
        context = ssl.create_default_context(cafile=str(self.root))
        if certificate is not None:
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        return context

    def sign_client(self, name: str) -> Path:
        """Make a certificate for a client with this common name; its key is beside it."""
        certificate = self.root.with_name(f"client-{name or 'nobody'}.pem")
        subject = f"/CN={name}" if name else "/O=nobody"
        self._sign(certificate, subject, "extendedKeyUsage=clientAuth")
        return certificate

    def sign_client_until(self, name: str, ends: int) -> Path:
        """Make a certificate for a client that ends at this time, in epoch seconds."""
        authority = x509.load_pem_x509_certificate(self.root.read_bytes())
        signer = serialization.load_pem_private_key(
            self.root.with_suffix(".key").read_bytes(), None
        )
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.fromtimestamp(ends, UTC)
        signed = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=1))
            .not_valid_after(end)
            .sign(signer, hashes.SHA256())
        )
        certificate = self.root.with_name(f"client-{name}-until-{ends}.pem")
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8
        encoded = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        certificate.with_suffix(".key").write_bytes(encoded)
        return certificate

    def sign_server(self, certificate: Path) -> None:
        """Make another certificate for the server, in a file that is new; its key is beside it."""
        subjects = ["subjectAltName=IP:127.0.0.1", *(f"DNS:{name}" for name in self.names)]
        self._sign(certificate, f"/CN={certificate.stem} of a test", ",".join(subjects))

    def _sign(self, certificate: Path, subject: str, extension: str) -> None:
        signed = ("-CA", str(self.root), "-CAkey", str(self.root.with_suffix(".key")))
        _run_openssl(certificate, subject, extension, signed)


def make_authority(folder: Path, *hosts: str) -> Authority:
    """Make a root and one certificate in `folder`; skip the test without openssl.

    The certificate is for 127.0.0.1, localhost and `hosts`.
    """
    root, certificate = folder / "root.pem", folder / "server.pem"
    _run_openssl(root, "/CN=root of a test", "keyUsage=critical,keyCertSign,cRLSign")
    names = ("localhost", *hosts)
    made = Authority(root, certificate, certificate.with_suffix(".key"), names)
    made.sign_server(certificate)
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str]:
    """Return the common names in the certificates of the server and of the client.

    Raises:
        ssl.SSLError: one side refused the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    names = [find_common_name(side.getpeercert() or {}) for side in sides]
    return names[0], names[1]


def find_common_name(certificate: Mapping[str, Any]) -> str:
    """Return the common name in what `getpeercert` describes; empty without one."""
    parts = {key: value for part in certificate.get("subject", ()) for key, value in part}
    return str(parts.get("commonName", ""))


def _run_openssl(
    certificate: Path, subject: str, extension: str, signed: Sequence[str] = ()
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not installed")
    command = [openssl, "req", "-x509", *KEY, "-subj", subject, "-addext", extension, *signed]
    command += ["-out", str(certificate), "-keyout", str(certificate.with_suffix(".key"))]
    subprocess.run(command, check=True, capture_output=True)
