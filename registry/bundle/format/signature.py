"""Signatures of bundles: Ed25519 over `bundle.json` (RFC 8032), checked without a network.

`bundle.json` has the digest of every blob, so its signature covers the whole bundle. Keys are PEM
files, as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from registry.errors import BundleInvalid, FileUnreadable, KeyInvalid
from registry.settings.named_files import read_first

_MAX_KEY = 64 * 1024  # bytes; a key has some hundred
_NO_KEY = "it is not an Ed25519 key in PEM"
_MAKE = "make one: openssl genpkey -algorithm ed25519 -out key.pem"


def sign(raw: bytes, key: Path) -> bytes:
    """Return the 64 bytes of a signature.

    Raises:
        FileUnreadable: `key` cannot be read.
        KeyInvalid: `key` is not a private Ed25519 key in PEM, or needs a password.
    """
    content = _read(key)
    if b"PUBLIC KEY" in content:
        cure = "sign with the private key; the public key is for: entrepot bundle verify --key"
        raise KeyInvalid(str(key), "it is a public key", cure)
    try:
        private = load_pem_private_key(content, password=None)
    except TypeError as error:
        cure = f"write a copy without it: openssl pkey -in {key} -out plain.pem"
        raise KeyInvalid(str(key), "it is protected by a password", cure) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyInvalid(str(key), _NO_KEY, _MAKE) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyInvalid(str(key), _NO_KEY, _MAKE)
    return private.sign(raw)


def load_keys(paths: Sequence[Path]) -> list[tuple[Path, Ed25519PublicKey]]:
    """Read public keys.

    Raises:
        FileUnreadable: one of them cannot be read.
        KeyInvalid: one of them is not a public Ed25519 key in PEM.
    """
    return [(path, _load_public(path)) for path in paths]


def _load_public(path: Path) -> Ed25519PublicKey:
    content, cure = _read(path), "name the public key of the bundle's maker"
    if b"PRIVATE KEY" in content:
        cure = f"make its public half: openssl pkey -in {path} -pubout -out maker.pub.pem"
        raise KeyInvalid(str(path), "it is a private key", cure)
    try:
        public = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyInvalid(str(path), _NO_KEY, cure) from error
    if not isinstance(public, Ed25519PublicKey):
        raise KeyInvalid(str(path), _NO_KEY, cure)
    return public


def _read(path: Path) -> bytes:
    try:
        content = read_first(path, _MAX_KEY + 1)
    except OSError as error:
        raise FileUnreadable(str(path), error, "name the file of a key") from error
    if len(content) > _MAX_KEY:
        raise KeyInvalid(str(path), f"it has more than {_MAX_KEY >> 10} KiB", "name a PEM file")
    return content


_Keys = Sequence[tuple[Path, Ed25519PublicKey]]


@dataclass(frozen=True, slots=True)
class Policy:
    """Accepts bundles signed with one of `keys` (settings) and one of `named` (of a command).

    If one of the two is empty, the other decides; without any keys every bundle is accepted. So a
    command never accepts what the settings refuse. A bundle without a signature is refused like one
    with a wrong signature: anybody can remove a signature.
    """

    keys: tuple[Path, ...] = ()
    named: tuple[Path, ...] = ()

    def check(self, raw: bytes, signature: bytes) -> str:
        """Return the file name of the key that signed a bundle; empty if no signature was checked.

        `raw` has to be the bytes of `bundle.json` that are used afterwards.

        Raises:
            BundleInvalid: the signature is missing, or was not made with the keys.
            FileUnreadable, KeyInvalid: a file cannot be read, or does not contain a key.
        """
        both = [load_keys(paths) for paths in (self.keys, self.named) if paths]
        if both and not signature:
            why = "the bundle is not signed; ask its maker to sign it"
            raise BundleInvalid("bundle.json.sig", why)
        signers = [_find_signer(raw, signature, keys) for keys in both]
        if None in signers:
            trusted = _list_names(both[0])
            if len(both) > 1:
                trusted = f"in [bundles]: {trusted}; with --key: {_list_names(both[1])}"
                trusted += "; it has to be a key of both"
            why = f"the signature was made with none of the trusted keys ({trusted})"
            raise BundleInvalid("bundle.json.sig", f"{why}; ask the bundle's maker")
        return signers[-1].name if signers and signers[-1] else ""


def _find_signer(raw: bytes, signature: bytes, keys: _Keys) -> Path | None:
    """Return the path of the public key that a signature was made with; None if it is none."""
    for path, key in keys:
        try:
            key.verify(signature, raw)
        except InvalidSignature:
            continue
        return path
    return None


def _list_names(keys: _Keys) -> str:
    return ", ".join(path.name for path, _ in keys)
