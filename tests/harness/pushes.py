"""Pushes to a registry that asks for no login."""

import hashlib
import urllib.request
from http.client import HTTPResponse
from typing import cast
from urllib.parse import urljoin


def send(method: str, url: str, body: bytes | None = None, media_type: str = "") -> HTTPResponse:
    """Send one request; the caller closes the answer.

    Raises:
        urllib.error.URLError: there is no answer, or its status is an error.
    """
    headers = {"Content-Type": media_type} if media_type else {}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    return cast("HTTPResponse", urllib.request.urlopen(request, timeout=10))


def push_blob(url: str, repository: str, blob: bytes) -> None:
    """Upload a blob in one piece (distribution-spec, "POST then PUT")."""
    with send("POST", f"{url}/v2/{repository}/blobs/uploads/") as answer:
        upload = urljoin(url, answer.headers["Location"])
    joint = "&" if "?" in upload else "?"
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    send("PUT", f"{upload}{joint}digest={digest}", blob, "application/octet-stream").close()


def push_manifest(url: str, repository: str, reference: str, body: bytes, media_type: str) -> None:
    """Upload a manifest by a tag or its digest."""
    send("PUT", f"{url}/v2/{repository}/manifests/{reference}", body, media_type).close()
