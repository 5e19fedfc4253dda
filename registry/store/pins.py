"""Pins on disk: what stays for ever is not forgotten with a lost catalog."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.errors import StoreError
from registry.store.data_folder import write_durably


class PinFile:
    """One JSON list with all pins; what a pin is, is others' to say."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, pins: Sequence[Mapping[str, Any]]) -> None:
        """Replace the list durably; blocks for the disk.

        Raises:
            StoreError: the disk refused; the former list is still there.
        """
        try:
            write_durably(self._path, json.dumps(pins, indent=1).encode())
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error

    def read(self) -> list[Mapping[str, Any]]:
        """Return the list; empty when there is none, or it cannot be read."""
        try:
            pins = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return []
        return [pin for pin in pins if isinstance(pin, Mapping)] if isinstance(pins, list) else []
