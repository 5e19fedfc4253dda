"""A real registry, Debian's `docker-registry`, to check the suite and our reading of it against."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

from tests.conformance.sample import REPOSITORY, Sample, digest_of
from tests.harness.free_port import find_free_port

PROGRAM = "docker-registry"
CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def installed() -> bool:
    """Whether this machine has the program."""
    return shutil.which(PROGRAM) is not None


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start an empty registry on a free port, yield its URL, and stop it."""
    port = find_free_port()
    configuration = folder / "config.yml"
    configuration.write_text(CONFIGURATION.format(folder=folder / "content", port=port))
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "serve", configuration], stdout=log, stderr=log)
    try:
        _wait_until_answering(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def push(url: str, sample: Sample) -> None:
    """Upload every blob and manifest of the sample."""
    repository = f"{url}/v2/{REPOSITORY}"
    for blob in sample.blobs:
        with _request("POST", f"{repository}/blobs/uploads/") as answer:
            upload = urljoin(url, answer.headers["Location"])
        joint = "&" if "?" in upload else "?"
        target = f"{upload}{joint}digest={digest_of(blob)}"
        _request("PUT", target, blob, "application/octet-stream").close()
    for manifest in sample.manifests:
        reference = manifest.tag or manifest.digest
        target = f"{repository}/manifests/{reference}"
        _request("PUT", target, manifest.body, manifest.media_type).close()


def _request(method: str, url: str, body: bytes | None = None, media_type: str = ""):
    headers = {"Content-Type": media_type} if media_type else {}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    return urllib.request.urlopen(request, timeout=10)


def _wait_until_answering(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            _request("GET", f"{url}/v2/").close()
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
