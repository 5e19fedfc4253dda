"""A real registry, Debian's `docker-registry`, to check the suite and our reading of it against."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.sample import REPOSITORY, Sample
from tests.harness.free_port import find_free_port
from tests.harness.pushes import push_blob, push_manifest, send

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
    for blob in sample.blobs:
        push_blob(url, REPOSITORY, blob)
    for each in sample.manifests:
        push_manifest(url, REPOSITORY, each.tag or each.digest, each.body, each.media_type)


def _wait_until_answering(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            send("GET", f"{url}/v2/").close()
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
