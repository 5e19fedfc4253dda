"""Which signatures are accepted if the settings name keys, and a command names some too."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry.bundle.format.signature import Policy
from registry.errors import BundleInvalid

RAW = b"bundle.json"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Ed25519PrivateKey]:
    """Two makers; the public keys are in files beside each other."""
    found = {name: Ed25519PrivateKey.generate() for name in ("ann", "bob")}
    for name, key in found.items():
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pem").write_bytes(public)
    return found


def test_a_key_of_both_is_needed(tmp_path: Path, keys: dict[str, Ed25519PrivateKey]) -> None:
    """A key of both is needed; one of the command alone is not enough. The error names all."""
    ann, bob = tmp_path / "ann.pem", tmp_path / "bob.pem"
    by_ann, by_bob = keys["ann"].sign(RAW), keys["bob"].sign(RAW)
    assert Policy((ann, bob), (bob,)).check(RAW, by_bob) == "bob.pem"
    for policy in (Policy((ann, bob), (bob,)), Policy((bob,), (ann,)), Policy((ann,), (bob,))):
        with pytest.raises(BundleInvalid) as error:
            policy.check(RAW, by_ann)
        named = {each.name for each in (*policy.keys, *policy.named)}
        assert all(name in str(error.value) for name in named)
        assert "it has to be a key of both" in str(error.value)
    with pytest.raises(BundleInvalid, match="is not signed"):
        Policy((ann,), (bob,)).check(RAW, b"")
