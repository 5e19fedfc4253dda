"""Importing bundles into an empty data folder with the commands of operators."""

import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from registry.bundle.format.signature import sign
from registry.bundle.read.sources import read_member
from registry.oci.digest import Digest
from tests.harness.bundles import write_bundle, write_tar
from tests.harness.filled_folder import open_filled
from tests.harness.mirror import run_command

APP = "docker.io/library/app:1"
BASE, LAYER = b"base" * 20_000, b"layer" * 1000


async def make_bundle(path: Path, *layers: bytes, have: frozenset[Digest] = frozenset()) -> bytes:
    """Return a bundle of an image with these layers."""
    async with open_filled(path) as filled:
        await filled.put_image(APP, layers)
        return await write_bundle(filled, [APP], have)


async def make_import_side(path: Path, extra: str = "") -> Path:
    """Make the configuration of an empty data folder; return its path."""
    async with open_filled(path / "data"):
        pass
    config = path / "entrepot.toml"
    config.write_text(f'[storage]\npath = "{path / "data"}"\n{extra}')
    return config


def run(config: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = run_command("bundle", *words, "--config", str(config), "--json")
    assert done.returncode == code, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def read_files(raw: bytes, path: Path) -> dict[str, bytes]:
    path.write_bytes(raw)
    found, position = {}, 0
    with path.open("rb") as file:
        while True:
            file.seek(position)
            member = read_member(file, position, "")
            if member is None:
                return found
            found[member.name] = raw[member.offset : member.offset + member.size]
            position = member.end


def sign_bundle(raw: bytes, path: Path) -> tuple[bytes, Path]:
    """Return the bundle with a signature, and the file of the public key."""
    key = Ed25519PrivateKey.generate()
    private, public = path.with_suffix(".pem"), path.with_suffix(".pub.pem")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    files = list(read_files(raw, path.with_suffix(".tmp")).items())
    place = [name for name, _ in files].index("bundle.json") + 1
    files.insert(place, ("bundle.json.sig", sign(files[place - 1][1], private)))
    return write_tar(files), public
