"""The OCI distribution-spec conformance suite, built once and run against a registry.

The suite is the official Go program at one pinned version. `binary` builds it from the Go module
proxy into a cache folder, the `run_` functions point it at a registry and read what it printed.

Its own exit code and `junit.xml` are of no use here: with pushing disabled, the pinned version ends
in a nil dereference while it writes `results.yaml`, after every test has run and the report has
been printed. So the printed report is what is parsed. Neither can it demand the digest header of
content that it did not push itself (it then never looks at the answer); other tests do that.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.harness import go_programs
from tests.harness.go_programs import GoProgram

PROGRAM = GoProgram(
    "conformance",
    "github.com/opencontainers/distribution-spec/conformance",
    "v0.0.0-20260831232431-97274622c111",
)
ROOT = "OCI Conformance Test"

_LINE = re.compile(
    rf"^(?P<indent> *){re.escape(ROOT)}(?:/(?P<name>.+))?: "
    r"(?P<status>Pass|FAIL|Skip|Disabled|Error|Unknown)$"
)


class SuiteBroken(Exception):
    """The suite printed no report."""


@dataclass(frozen=True)
class Content:
    """What the registry already holds, for the suite to ask for: all in one repository."""

    repository: str
    tags: Sequence[str]
    manifests: Sequence[str]
    blobs: Sequence[str]
    referrers: Sequence[str] = ()


@dataclass(frozen=True)
class ImageOutcome:
    """One leaf of the report: `status` is pass, fail, skip, disabled, error or unknown."""

    name: str
    status: str
    message: str = ""


@dataclass
class Report:
    """Every leaf test of one run, in the order in which the suite ran them.

    A name may occur more than once: the suite repeats `blob-get` for each blob.
    """

    outcomes: list[ImageOutcome] = field(default_factory=list)

    def names(self, status: str) -> Counter[str]:
        """How often each test ended with this status."""
        return Counter(outcome.name for outcome in self.outcomes if outcome.status == status)

    def failures(self) -> list[ImageOutcome]:
        """The tests that failed, and those that the suite could not finish."""
        return [outcome for outcome in self.outcomes if outcome.status in {"fail", "error"}]

    def counts(self) -> str:
        """One line for a person: `14 pass, 11 disabled`."""
        total = Counter(outcome.status for outcome in self.outcomes)
        return ", ".join(f"{number} {status}" for status, number in total.most_common())


def binary() -> Path:
    """Return the built suite, building it on first use (about half a minute).

    Raises:
        GoMissing: no `go` on the path, and no cached build.
        BuildBroken: the module proxy or the compiler said no.
    """
    return go_programs.build(PROGRAM)


def run_reading(url: str, content: Content, results: Path) -> Report:
    """Run the Pull and Content Discovery tests against the registry at `url`; never push.

    Args:
        url: `http://HOST:PORT` of the registry.
        content: what it holds.
        results: an existing folder for the suite's own report files.

    Raises:
        SuiteBroken: the suite printed no report; its standard error is in the message.
    """
    held = {
        "OCI_API_PUSH": "false",
        "OCI_RO_DATA_TAGS": " ".join(content.tags),
        "OCI_RO_DATA_MANIFESTS": " ".join(content.manifests),
        "OCI_RO_DATA_BLOBS": " ".join(content.blobs),
        "OCI_RO_DATA_REFERRERS": " ".join(content.referrers),
        "OCI_REPO1": content.repository,
    }
    return _run(url, held, results)


def run_pushing(url: str, results: Path) -> Report:
    """Push what the suite makes up, and check what is then answered, to the byte; delete nothing.

    Referrers and sha512 are left out: Debian's registry, to which it is pushed, has neither.
    Raises as `run_reading`.
    """
    wanted = {
        "OCI_API_BLOBS_DIGEST_HEADER": "true",
        "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
        "OCI_API_REFERRER": "false",
        "OCI_DATA_SHA512": "false",
    }
    return _run(url, wanted, results)


def _run(url: str, settings: Mapping[str, str], results: Path) -> Report:
    address = urlsplit(url)
    common = {
        "OCI_CONFIGURATION": "",
        "OCI_RESULTS_DIR": str(results),
        "OCI_VERSION": "1.1",
        "OCI_REGISTRY": address.netloc,
        "OCI_TLS": "enabled" if address.scheme == "https" else "disabled",
        "OCI_API_BLOBS_DELETE": "false",
        "OCI_API_MANIFESTS_DELETE": "false",
        "OCI_API_TAGS_DELETE": "false",
    }
    done = subprocess.run(
        [binary()],
        cwd=results,
        env={**os.environ, **common, **settings},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    report = parse(done.stdout)
    if not report.outcomes:
        raise SuiteBroken(f"no report (exit {done.returncode}): {done.stderr.strip()[-2000:]}")
    return report


def parse(text: str) -> Report:
    """Read the tree that the suite prints; a test with children is not a leaf and is left out."""
    report = Report()
    lines = text.splitlines()
    found = [(number, match) for number, line in enumerate(lines) if (match := _LINE.match(line))]
    for position, (number, match) in enumerate(found):
        following = found[position + 1] if position + 1 < len(found) else None
        if following and len(following[1]["indent"]) > len(match["indent"]):
            continue
        end = following[0] if following else number + 1
        message = "\n".join(lines[number + 1 : end]).strip().removeprefix("- ")
        report.outcomes.append(ImageOutcome(match["name"] or "", match["status"].lower(), message))
    return report
