"""Style and script of the pages, under names that change with their content."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static/"
FOR_EVER = "public, max-age=31536000, immutable"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that browsers keep for ever, under the path `path`."""

    path: str
    content: bytes
    media_type: str


def load_files() -> dict[str, StaticFile]:
    """Return all files by their names, such as `console.css`."""
    return {path.name: _load(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


def _load(path: Path) -> StaticFile:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return StaticFile(f"{PREFIX}{digest}/{path.name}", content, _TYPES[path.suffix])
