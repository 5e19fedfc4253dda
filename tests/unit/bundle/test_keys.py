"""What is said about a file that is no key: each mistake has its own advice."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from registry.bundle.format.signature import load_keys, sign
from registry.errors import FileUnreadable, KeyInvalid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file of each kind."""
    ours, other = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())

    def dump(encryption: KeySerializationEncryption) -> bytes:
        return ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    public = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {
        "private": dump(NoEncryption()),
        "locked": dump(BestAvailableEncryption(b"secret")),
        "public": ours.public_key().public_bytes(*public),
        "curve": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "curve.pub": other.public_key().public_bytes(*public),
        "text": b"no key",
        "cut": dump(NoEncryption())[:60],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    return tmp_path


def use(path: Path) -> None:
    load_keys([path])


def sign_with(path: Path) -> None:
    sign(b"text", path)


@pytest.mark.parametrize(
    ("action", "name", "message"),
    [
        (sign_with, "none", "cannot be read (No such file or directory); name the file of a key"),
        (sign_with, "folder", "cannot be read (Is a directory); name the file of a key"),
        (sign_with, "public", "(it is a public key); sign with the private key"),
        (sign_with, "locked", "protected by a password); write a copy without it: openssl pkey"),
        (sign_with, "curve", "(it is not an Ed25519 key in PEM); make one: openssl genpkey -alg"),
        (sign_with, "text", "(it is not an Ed25519 key in PEM); make one: openssl genpkey -alg"),
        (sign_with, "cut", "(it is not an Ed25519 key in PEM); make one: openssl genpkey -alg"),
        (use, "none", "cannot be read (No such file or directory); name the file of a key"),
        (use, "folder", "cannot be read (Is a directory); name the file of a key"),
        (use, "private", "(it is a private key); make its public half: openssl pkey -in"),
        (use, "locked", "(it is a private key); make its public half: openssl pkey -in"),
        (use, "curve.pub", "(it is not an Ed25519 key in PEM); name the public key of the bundle"),
        (use, "text", "(it is not an Ed25519 key in PEM); name the public key of the bundle's ma"),
    ],
)
def test_each_mistake_has_its_own_advice(
    folder: Path, action: Callable[[Path], None], name: str, message: str
) -> None:
    """A missing key is named, and not made; only who signs is told how to make one."""
    with pytest.raises((KeyInvalid, FileUnreadable)) as error:
        action(folder / name)
    assert str(error.value).startswith(f"{folder / name}: cannot be ")
    assert message in str(error.value)


def test_right_keys_are_used(folder: Path) -> None:
    """The two halves of a pair raise nothing."""
    sign_with(folder / "private")
    use(folder / "public")
