"""Laws of the JSON of reports: fields as they are named, one form for each kind of value."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from registry.oci.digest import Digest
from registry.reports.bundle import comparison, content, coverage, imported, verification, written
from registry.reports.cache import (
    AuditResult,
    AuditState,
    BackupResult,
    CacheUsage,
    Eviction,
    Usage,
)
from registry.reports.images import Image, PinnedImages, Platform, RemovedImages, UnpinnedImages
from registry.reports.json import format_json
from registry.reports.offline import MissingBlob, MissingPlatform, OfflineReadiness
from registry.reports.pull_limits import Estimate, PullLimit
from registry.reports.refresh import RefreshedImage, RefreshResult
from registry.reports.warm import WantedImage, WantedImages, WarmedImage, WarmResult

DIGEST = Digest.of(b"content")
DOCS = Path(__file__).resolve().parents[3] / "docs"
STORAGE: tuple[type, ...] = (
    *(Image, Platform, PinnedImages, UnpinnedImages, RemovedImages),
    *(OfflineReadiness, MissingPlatform, MissingBlob, RefreshedImage, RefreshResult),
    *(WantedImage, WantedImages, WarmedImage, WarmResult, Estimate, PullLimit),
    *(CacheUsage, Usage, AuditState, Eviction, AuditResult, BackupResult),
)
BUNDLE = tuple(
    found
    for module in (comparison, content, coverage, imported, verification, written)
    for found in vars(module).values()
    if isinstance(found, type) and is_dataclass(found)
)


@dataclass(frozen=True, slots=True)
class _Inner:
    size: int

    @property
    def is_large(self) -> bool:
        return self.size > 9


@dataclass(frozen=True, slots=True)
class _Report:
    values: Mapping[Any, Any]
    inner: tuple[_Inner, ...]


def test_a_report_has_its_fields_by_their_names() -> None:
    """Also of reports inside reports; properties are left out."""
    line = format_json(_Report({}, (_Inner(1), _Inner(20))))
    assert line == '{"values": {}, "inner": [{"size": 1}, {"size": 20}]}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DIGEST, str(DIGEST)),
        (Path("/a/b"), "/a/b"),
        (1_700_000_000.5, 1_700_000_000.5),
        (math.inf, None),
        (True, True),
        (None, None),
        ({DIGEST: [DIGEST]}, {str(DIGEST): [str(DIGEST)]}),
        (frozenset({"b", "a"}), ["a", "b"]),
    ],
)
def test_each_kind_of_value_has_one_form(value: object, expected: object) -> None:
    """Digests and paths are strings, moments stay epoch seconds, sets are sorted."""
    assert expected == json.loads(format_json([value]))[0]


def test_what_no_rule_covers_is_refused() -> None:
    """An object without a rule is an error, and not its text in Python."""
    with pytest.raises(TypeError, match="object has no form in JSON"):
        format_json([object()])


@pytest.mark.parametrize(("page", "reports"), [("storage.md", STORAGE), ("airgap.md", BUNDLE)])
def test_every_field_is_documented(page: str, reports: tuple[type, ...]) -> None:
    """Every field of a report is in the documents."""
    text = (DOCS / page).read_text(encoding="utf-8")
    names = {f"{each.name}" for report in reports for each in fields(report)}
    assert len(names) > 20
    assert sorted(name for name in names if f"`{name}" not in text) == []
