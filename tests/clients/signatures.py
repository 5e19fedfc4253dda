"""Signatures as cosign writes them, by formulas that `cosign verify` confirms.

cosign 3 keeps a Sigstore bundle as a referrer of the signed manifest; older ones keep the signature
in the annotation of an image whose tag is made from the digest of the signed manifest.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.clients.images import Manifest, digest_of
from tests.fakes.upstream import FakeUpstream
from tests.fakes.upstream.images import MANIFEST, describe

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SBOM = "application/spdx+json"
EMPTY = "application/vnd.oci.empty.v1+json"


class Signer:
    """A key, and the manifests that are made with it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def public_key(self) -> bytes:
        """Return the public key as PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def attach_bundle(self, hub: FakeUpstream, repository: str, subject: Manifest) -> str:
        """Sign a manifest as cosign 3 does; return the digest of the referrer."""
        statement = _encode(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"digest": {"sha256": _hex(subject)}}],
                "predicateType": PREDICATE,
                "predicate": {},
            }
        )
        # The pre-authentication encoding of DSSE: what is signed besides the payload.
        signed = b"DSSEv1 %d %s %d %s" % (
            len(STATEMENT),
            STATEMENT.encode(),
            len(statement),
            statement,
        )
        envelope = {
            "payload": _base64(statement),
            "payloadType": STATEMENT,
            "signatures": [{"sig": _base64(self._sign(signed))}],
        }
        material = {"publicKey": {"hint": ""}}
        bundle = {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}
        annotations = {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": PREDICATE,
        }
        return attach(hub, repository, subject, BUNDLE, _encode(bundle), annotations)

    def attach_tag(self, hub: FakeUpstream, repository: str, subject: Manifest) -> str:
        """Sign a manifest as cosign 2 does; return the tag."""
        payload = _encode(
            {
                "critical": {
                    "identity": {"docker-reference": repository},
                    "image": {"docker-manifest-digest": subject.digest},
                    "type": "cosign container image signature",
                },
                "optional": None,
            }
        )
        signature = {"dev.cosignproject.cosign/signature": _base64(self._sign(payload))}
        rootfs = {"type": "layers", "diff_ids": [digest_of(payload)]}
        config = _encode({"architecture": "", "os": "", "config": {}, "rootfs": rootfs})
        fields = {
            "config": _store(hub, repository, "application/vnd.oci.image.config.v1+json", config),
            "layers": [
                _store(hub, repository, SIMPLE_SIGNING, payload) | {"annotations": signature}
            ],
        }
        tag = f"{subject.digest.replace(':', '-')}.sig"
        _add(hub, repository, tag, fields)
        return tag

    def _sign(self, content: bytes) -> bytes:
        return self._key.sign(content, ec.ECDSA(hashes.SHA256()))


def attach(
    hub: FakeUpstream,
    repository: str,
    subject: Manifest,
    kind: str,
    content: bytes,
    annotations: dict[str, str] | None = None,
) -> str:
    """Attach an artifact with one layer to a manifest; return the digest of the referrer."""
    fields = {
        "artifactType": kind,
        "config": _store(hub, repository, EMPTY, b"{}"),
        "layers": [_store(hub, repository, kind, content)],
        "subject": describe(subject.media_type, subject.digest, len(subject.body)),
        "annotations": annotations or {},
    }
    return _add(hub, repository, None, fields)


def _store(hub: FakeUpstream, repository: str, media_type: str, content: bytes) -> dict[str, Any]:
    return describe(media_type, hub.add_blob(content, repository), len(content))


def _add(hub: FakeUpstream, repository: str, tag: str | None, fields: dict[str, Any]) -> str:
    kind = MANIFEST["oci"]
    body = _encode({"schemaVersion": 2, "mediaType": kind, **fields})
    return hub.add_manifest(repository, tag, body, kind)


def _hex(subject: Manifest) -> str:
    return subject.digest.partition(":")[2]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
