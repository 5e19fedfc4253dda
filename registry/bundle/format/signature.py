"""Signatures of bundles: Ed25519 over `bundle.json` (RFC 8032), checked without a network.

`bundle.json` has the digest of every blob, so its signature covers the whole bundle. Keys are PEM
files, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from registry.errors import BundleInvalid, KeyInvalid


def sign(raw: bytes, key: Path) -> bytes:
    """Return the 64 bytes of a signature.

    Raises:
        KeyInvalid: `key` is not a private Ed25519 key in PEM, or needs a password.
    """
    try:
        private = load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise KeyInvalid(str(key), str(error)) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyInvalid(str(key), "it is not an Ed25519 key")
    return private.sign(raw)


def load_keys(paths: Sequence[Path]) -> list[tuple[Path, Ed25519PublicKey]]:
    """Read public keys.

    Raises:
        KeyInvalid: one of them is not a public Ed25519 key in PEM.
    """
    keys = []
    for path in paths:
        try:
            public = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyInvalid(str(path), str(error)) from error
        if not isinstance(public, Ed25519PublicKey):
            raise KeyInvalid(str(path), "it is not an Ed25519 key")
        keys.append((path, public))
    return keys


def find_signer(
    raw: bytes, signature: bytes, keys: Sequence[tuple[Path, Ed25519PublicKey]]
) -> Path:
    """Return the path of the public key that a signature was made with.

    Raises:
        BundleInvalid: there is no signature, or it was made with none of these keys.
    """
    if not signature:
        raise BundleInvalid("bundle.json.sig", "the bundle is not signed; ask its maker to sign it")
    for path, key in keys:
        try:
            key.verify(signature, raw)
        except InvalidSignature:
            continue
        return path
    raise BundleInvalid("bundle.json.sig", "the signature was made with none of the trusted keys")


@dataclass(frozen=True, slots=True)
class Policy:
    """Accepts bundles signed with one of `keys`, and unsigned bundles unless `is_required`."""

    keys: tuple[Path, ...] = ()
    is_required: bool = False

    def check(self, raw: bytes, signature: bytes) -> str:
        """Return the file name of the key that signed a bundle; empty if no signature was checked.

        `raw` has to be the bytes of `bundle.json` that are used afterwards.

        Raises:
            BundleInvalid: the signature is missing, or was made with none of the keys.
            KeyInvalid: a file does not contain a key.
        """
        if not (self.is_required or (self.keys and signature)):
            return ""
        return find_signer(raw, signature, load_keys(self.keys)).name
