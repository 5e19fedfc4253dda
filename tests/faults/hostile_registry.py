"""An upstream in many hostile faces: a row for each, with the part of it that is hostile.

The path of an endpoint begins with the number of its face, so that one server plays all of them.
What a row does not change is as at an honest registry with one image.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.fakes.raw_server import RawRequest, write_answer
from tests.fakes.upstream.images import INDEX, MANIFEST

LAYER = bytes(range(256)) * 64


def make_layer(number: int) -> bytes:
    """Return the layer that only this face has; a shared one would be stored after the first."""
    return LAYER[:-8] + number.to_bytes(8, "big")


CONFIG = b"{}"
JSON = "Content-Type: application/json"
AN_INDEX = f"Content-Type: {INDEX['oci']}"
A_MANIFEST = f"Content-Type: {MANIFEST['oci']}"
Answer = bytes | Callable[[RawRequest], AsyncIterator[bytes]]


def name_of(content: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def describe(content: bytes, **more: Any) -> dict[str, Any]:
    """Return a descriptor of a blob."""
    kind = "application/vnd.oci.image.layer.v1.tar"
    return {"mediaType": kind, "digest": name_of(content), "size": len(content)} | more


def write_manifest(**more: Any) -> dict[str, Any]:
    """Return the manifest of the image, with these fields in it."""
    usual = {
        "schemaVersion": 2,
        "mediaType": MANIFEST["oci"],
        "config": describe(CONFIG, mediaType="application/vnd.oci.image.config.v1+json"),
        "layers": [describe(LAYER)],
    }
    return usual | more


IMAGE = json.dumps(write_manifest()).encode()


@dataclass(frozen=True)
class Face:
    """One way to be hostile in the answers to requests for `part`.

    `is_slow` says that the mirror tries for as long as a client waits. `status` is the status of an
    `answer` to a token request.
    """

    name: str
    part: str
    answer: Answer
    is_slow: bool = False
    method: str = ""
    asks_for_login: bool = False


async def flood(first: bytes, again: bytes) -> AsyncIterator[bytes]:
    """Yield without end."""
    yield first
    while True:
        yield again * (1 + 65536 // len(again))


def endless(first: bytes, again: bytes) -> Callable[[RawRequest], AsyncIterator[bytes]]:
    """Return an answer without end."""
    return lambda _: flood(first, again)


def head(*lines: str) -> bytes:
    """Return the head of an answer that has no Content-Length."""
    return "\r\n".join(("HTTP/1.1 200 OK", "Connection: close", *lines)).encode() + b"\r\n\r\n"


def on_manifest(name: str, answer: Answer, **more: Any) -> Face:
    """A row about the answer to a request for a manifest."""
    return Face(f"manifest: {name}", "manifests", answer, **more)


def as_manifest(name: str, body: bytes) -> Face:
    """A row about the bytes of a manifest."""
    return on_manifest(name, write_answer(body, A_MANIFEST))


def as_fields(name: str, **fields: Any) -> Face:
    """A row about fields of a manifest."""
    return as_manifest(name, json.dumps(write_manifest(**fields)).encode())


def as_tags(name: str, body: bytes, *headers: str) -> Face:
    """A row about a list of tags."""
    return Face(f"tags: {name}", "tags", write_answer(body, JSON, *headers))


def as_referrers(name: str, body: bytes, kind: str = AN_INDEX) -> Face:
    """A row about a list of referrers."""
    return Face(f"referrers: {name}", "referrers", write_answer(body, kind))


def as_token(name: str, answer: Answer, **more: Any) -> Face:
    """A row about the answer of the token service."""
    return Face(f"token: {name}", "token", answer, asks_for_login=True, **more)


def as_challenge(name: str, *challenges: str) -> Face:
    """A row about how the registry asks for a login."""
    headers = [f"WWW-Authenticate: {each}" for each in challenges]
    return Face(f"challenge: {name}", "any", write_answer(b"", *headers, status="401 Unauthorized"))


def to(name: str, location: str, part: str = "blobs", **more: Any) -> Face:
    """A row about a redirect."""
    answer = write_answer(b"", f"Location: {location}", status="307 Temporary Redirect")
    return Face(f"redirect: {name}", part, answer, **more)


def of_status(status: str, *headers: str, part: str = "manifests", **more: Any) -> Face:
    """A row about a status."""
    return Face(
        f"status: {status} {part}", part, write_answer(b"", *headers, status=status), **more
    )


async def answer_as(faces: Sequence[Face], request: RawRequest) -> AsyncIterator[bytes]:
    """Yield the answer of the face whose number the path begins with."""
    number, _, path = request.target.removeprefix("/").partition("/")
    face, part = faces[int(number)], _find_part(path)
    if face.asks_for_login and part != "token" and "authorization" not in request.headers:
        realm = f"http://{request.headers['host']}/{number}/token"
        challenge = f'WWW-Authenticate: Bearer realm="{realm}",service="s"'
        yield write_answer(b"", challenge, status="401 Unauthorized")
    elif face.part in (part, "any") and face.method in ("", request.method):
        if isinstance(face.answer, bytes):
            yield face.answer
        else:
            async for piece in face.answer(request):
                yield piece
    else:
        yield _answer_honestly(request, part, int(number))


def _find_part(path: str) -> str:
    return next(
        (each for each in ("manifests", "blobs", "tags", "referrers") if f"/{each}/" in path),
        "token" if path == "token" or path.startswith("token?") else "ping",
    )


def _answer_honestly(request: RawRequest, part: str, number: int) -> bytes:
    layer = make_layer(number)
    image = json.dumps(write_manifest(layers=[describe(layer)])).encode()
    content = {
        "manifests": (image, A_MANIFEST),
        "blobs": (CONFIG if name_of(CONFIG) in request.target else layer, "X: y"),
        "tags": (b'{"tags": ["1"]}', JSON),
        "referrers": (b'{"manifests": []}', AN_INDEX),
        "token": (b'{"token": "t"}', JSON),
        "ping": (b"{}", JSON),
    }
    body, kind = content[part]
    headers = [kind] if part != "manifests" else [kind, f"Docker-Content-Digest: {name_of(body)}"]
    if request.method == "HEAD":
        return write_answer(b"", *headers, length=len(body))
    return write_answer(body, *headers)
