"""An authority for a LAN, and the certificates that it signs for servers and clients.

Nothing is read or written here. The keys are P-256, which every client knows.
"""

import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from registry.errors import HostInvalid

AUTHORITY_LIFE = timedelta(days=3652)  # ten years
SIGNED_LIFE = timedelta(days=825)  # more than that, some clients refuse
EARLIER = timedelta(hours=1)  # a client's clock may be late
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)
_LONGEST_NAME = 253  # characters of a host name (RFC 1035 section 2.3.4)
_LONGEST_COMMON_NAME = 64  # characters (RFC 5280, appendix A.1)

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SignedPair:
    """A certificate that ends at `expires` (epoch seconds), and its key, both as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class Authority:
    """What signs certificates."""

    certificate: x509.Certificate
    key: _PrivateKey = field(repr=False)

    @classmethod
    def make(cls, now: float) -> "Authority":
        """Make an authority that signs certificates for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        # Two authorities with one name would be confused by clients that trust both.
        name = _build_name(f"Entrepot CA {secrets.token_hex(4)}")
        begin = _read_time(now) - EARLIER
        usage = _build_usage(may_sign=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = _begin(name, name, key, begin, begin + AUTHORITY_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(usage, True).add_extension(identifier, False)
        return cls(builder.sign(key, SHA256()), key)

    @classmethod
    def parse(cls, certificate: bytes, key: bytes) -> "Authority":
        """Read an authority from PEM.

        Raises:
            ValueError: they are no certificate of an authority with its key; the text says why.
        """
        try:
            read = x509.load_pem_x509_certificate(certificate)
            basic = read.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            raise ValueError("it is not the certificate of an authority") from None
        try:
            private = load_pem_private_key(key, password=None)
        except TypeError as error:
            raise ValueError("the key is protected by a password") from error
        except UnsupportedAlgorithm as error:
            raise ValueError("the key is of an unknown kind") from error
        if not basic.ca:
            raise ValueError("it is not the certificate of an authority")
        if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("the key is neither RSA nor of an elliptic curve")  # noqa: TRY004
        if _write_public(read) != _write_public(private):
            raise ValueError("the key is of another certificate")
        return cls(read, private)

    @property
    def expires(self) -> float:
        """When it ends, in epoch seconds."""
        return self.certificate.not_valid_after_utc.timestamp()

    def write(self) -> SignedPair:
        """Return the certificate and the key as PEM."""
        return _write(self.certificate, self.key)

    def sign_server(self, hosts: Sequence[x509.GeneralName], now: float) -> SignedPair:
        """Return a certificate for a server with these names and addresses, and its key."""
        name = str(hosts[0].value)
        common_name = name if len(name) <= _LONGEST_COMMON_NAME else "entrepot"
        names = x509.SubjectAlternativeName(hosts)
        return self._sign(common_name, [ExtendedKeyUsageOID.SERVER_AUTH], now, names)

    def sign_client(self, name: str, now: float) -> SignedPair:
        """Return a certificate that says that a client is the user `name`, and its key."""
        return self._sign(name, [ExtendedKeyUsageOID.CLIENT_AUTH], now)

    def _sign(
        self,
        common_name: str,
        uses: Iterable[x509.ObjectIdentifier],
        now: float,
        names: x509.SubjectAlternativeName | None = None,
    ) -> SignedPair:
        key = ec.generate_private_key(ec.SECP256R1())
        begin = _read_time(now) - EARLIER
        end = min(begin + SIGNED_LIFE, self.certificate.not_valid_after_utc)
        builder = _begin(_build_name(common_name), self.certificate.subject, key, begin, end)
        for extension, is_critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_build_usage(may_sign=False), True),
            (x509.ExtendedKeyUsage(uses), False),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
            (names, False),
        ):
            if extension is not None:
                builder = builder.add_extension(extension, is_critical)
        return _write(builder.sign(self.key, SHA256()), key)


def parse_ends(content: bytes) -> list[float]:
    """Return when the certificates in a file of PEM end, in their order (epoch seconds).

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    found = x509.load_pem_x509_certificates(content)
    return [each.not_valid_after_utc.timestamp() for each in found]


def find_gap(content: bytes) -> str:
    """Return where the certificates in a file of PEM do not follow each other; empty if they do.

    Each has to be signed by the next one (RFC 8446, 4.4.2).

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    found = x509.load_pem_x509_certificates(content)
    for signed, signer in pairwise(found):
        if signed.issuer != signer.subject:
            names = (each.rfc4514_string() for each in (signed.subject, signer.subject))
            return "{} is not signed by {}, which follows it".format(*names)
    return ""


def parse_host(text: str) -> x509.GeneralName:
    """Read a name or an address of a server, as a certificate names it.

    Raises:
        HostInvalid: it is neither; for example it is a URL, or has a port.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        name = text.removesuffix(".")
        is_number = name.rpartition(".")[2].isdecimal()  # a malformed address
        if _HOST.fullmatch(name) is None or len(name) > _LONGEST_NAME or is_number:
            raise HostInvalid(text) from None
        return x509.DNSName(name.lower())


def _begin(
    subject: x509.Name, issuer: x509.Name, key: _PrivateKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _build_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _build_usage(*, may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not may_sign,
        key_cert_sign=may_sign,
        crl_sign=may_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read_time(now: float) -> datetime:
    return datetime.fromtimestamp(int(now), UTC)


def _write(certificate: x509.Certificate, key: _PrivateKey) -> SignedPair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    expires = certificate.not_valid_after_utc.timestamp()
    return SignedPair(certificate.public_bytes(Encoding.PEM), private, expires)


def _write_public(of: x509.Certificate | _PrivateKey) -> bytes:
    return of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
