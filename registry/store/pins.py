"""Pins on disk: a lost catalog does not lose them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.store.files import translate_errors, write_durably


class PinFile:
    """One JSON list with all pins; `content/pins.py` says what a pin has."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, pins: Sequence[Mapping[str, Any]]) -> None:
        """Replace the list durably; blocks for the disk.

        Raises:
            StoreError: the disk refused; the former list is still there.
        """
        with translate_errors(self._path):
            write_durably(self._path, json.dumps(pins, indent=1).encode())

    def read(self) -> list[Mapping[str, Any]]:
        """Return the list; empty when the file is missing or cannot be read."""
        try:
            pins = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return []
        return [pin for pin in pins if isinstance(pin, Mapping)] if isinstance(pins, list) else []
