"""Reading small JSON files of the data folder, also if a disk or a person has damaged them."""

import json
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from registry.logs import get_logger

MAX_SMALL = 64 * 1024 * 1024  # bytes; the longest list of pins or imports has far fewer
_LAST_TIME = 253_402_300_799.0  # epoch seconds; the end of the year 9999


def read_small_json(path: Path) -> object:
    """Return the value in a JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON, has too many bytes or levels, or has a text or number that
            cannot be stored.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_SMALL + 1)
    if len(raw) > MAX_SMALL:
        raise ValueError(f"it has more than {MAX_SMALL >> 20} MiB")
    try:
        value: object = json.loads(raw.decode(), parse_constant=_refuse_constant)
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair of surrogates
    except RecursionError as error:
        raise ValueError("it has too many levels") from error
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def parse_time(value: object) -> float:
    """Return epoch seconds from a JSON file.

    Raises:
        ValueError: it is not a number, or not a time.
    """
    if isinstance(value, int | float) and 0 <= value <= _LAST_TIME:
        return float(value)
    raise ValueError("it has a time that is not between 1970 and 9999")


def put_aside(path: Path, why: str) -> None:
    """Rename a damaged file, so that it is not read again, and log its name."""
    aside = path.with_name(f"broken-{path.name}")
    with suppress(OSError):  # a disk that is read-only; the file is found again the next time
        path.replace(aside)
    log = get_logger("registry.store")
    log.error("file damaged and put aside", file=str(path), aside=aside.name, why=why)
