"""Reading and printing values as people write them: sizes, durations, addresses, lists. Pure."""

import ipaddress
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from registry.errors import NameInvalid
from registry.oci.names import parse_registry

MAX_SIZE = 2**63 - 1  # bytes; the largest integer of the catalog
MAX_DURATION = 36_500 * 86_400.0  # seconds; for a longer time, people write "forever"
MASK = "********"

_NUMBER = r"([0-9]{1,19}(?:\.[0-9]{1,19})?)"
_SIZE = re.compile(rf"{_NUMBER} ?([A-Za-z]*)")
_DURATION = re.compile(rf"{_NUMBER} ?([a-z]*)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

_SIZE_UNITS = MappingProxyType(
    {"B": 1}
    | {f"{letter}B": 1000**power for power, letter in enumerate("KMGTPE", 1)}
    | {f"{letter}iB": 1024**power for power, letter in enumerate("KMGTPE", 1)}
)
_SHOWN_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_DURATION_UNITS = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86_400})


class Refusal(ValueError):
    """A value that cannot be used; `why` is the reason, and `cure` says what to write instead.

    It is a ValueError, because pydantic adds the key to a ValueError.
    """

    def __init__(self, why: str, cure: str) -> None:
        self.why, self.cure = why, cure
        super().__init__(f"{why}; {cure}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: `host` (IPv6 without brackets) and `port` (0: any that is free)."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def overlaps(self, other: "Address") -> bool:
        """Whether two servers of one machine cannot have these addresses at the same time."""
        if not self.port or self.port != other.port:
            return False
        hosts = {self.host, other.host}
        if len(hosts) == 1 or "::" in hosts:  # as a socket, `::` has the IPv4 addresses too
            return True
        return "0.0.0.0" in hosts and not any(":" in host for host in hosts)  # noqa: S104 - compared, not bound


def parse_size(value: object) -> int:
    """Return the bytes of `50GiB`, `1.5TiB`, `500MB`, or a whole number of bytes.

    Raises:
        Refusal: the value has another form, is negative, or is more than 2**63 - 1 bytes.
    """
    cure = 'write a size such as "50GiB", "500MB", or a whole number of bytes'
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        unit = None if found is None else _find_size_unit(found[2])
        if found is None or unit is None:
            raise Refusal(f"{quote(value)} is not a size", cure)
        number, parts = _read_number(found[1])
        size = number * unit // parts
    if not 0 <= size <= MAX_SIZE:
        raise Refusal(f"{quote(value)} is not between 0 and 8EiB", cure)
    return size


def _read_number(text: str) -> tuple[int, int]:
    """Return exactly what `1.50` means: 150, in parts of 1/100."""
    whole, _, part = text.partition(".")
    return int(whole + part), 10 ** len(part)


def _find_size_unit(text: str) -> int | None:
    named = {name.lower(): size for name, size in _SIZE_UNITS.items()}
    return named.get(text.lower()) if text else 1


def format_size(size: int) -> str:
    """Return `size` bytes in the largest unit that gives a whole number: `50GiB`, `500MB`."""
    return _count_in_largest(size, _SIZE_UNITS.items(), at_least=1)


def format_bytes(size: int) -> str:
    """Return `size` bytes with three significant digits, for people: `1.43 GiB`."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_SHOWN_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{amount:.3g} {_SHOWN_UNITS[unit]}"


def parse_duration(value: object) -> float:
    """Return the seconds of `60s`, `10m`, `6h`, `30d`, `forever` (infinity), or a number.

    Raises:
        Refusal: the value has another form, is negative, or is finite and more than 100 years.
    """
    cure = 'write a duration such as "60s", "10m", "6h", "30d" or "forever"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(min(value, 10**15)) if isinstance(value, int) else value
    elif value == "forever":
        seconds = math.inf
    else:
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        unit = None if found is None else _DURATION_UNITS.get(found[2] or "s")
        if found is None or unit is None:
            raise Refusal(f"{quote(value)} is not a duration", cure)
        number, parts = _read_number(found[1])
        seconds = number * unit / parts
    if not (0 <= seconds <= MAX_DURATION or seconds == math.inf):
        raise Refusal(f"{quote(value)} is not between 0 and 100 years", cure)
    return seconds


def check_periods(value: object) -> object:
    """Return a table of durations unchanged.

    Raises:
        Refusal: the value is not a table, but for example one duration without a pattern.
    """
    if not isinstance(value, Mapping):
        cure = 'write { "*" = "30d" }, or a pattern of your images instead of "*"'
        raise Refusal(f"{quote(value)} is not a table of durations", cure)
    return value


def format_duration(seconds: float) -> str:
    """Return `seconds` as a text for `parse_duration`, such as `60s`, `10m` or `forever`."""
    if math.isinf(seconds):
        return "forever"
    if not seconds.is_integer():
        from decimal import Decimal  # noqa: PLC0415 - servers never need it

        return f"{Decimal(repr(seconds)):f}s"
    # A unit is used from 2 on: for a value that is set in seconds, "60s" is clearer than "1m".
    return _count_in_largest(int(seconds), _DURATION_UNITS.items(), at_least=2)


def _count_in_largest(amount: int, units: Iterable[tuple[str, int]], at_least: int) -> str:
    fitting = [(size, name) for name, size in units if amount % size == 0 and amount >= size]
    enough = [(size, name) for size, name in fitting if amount >= at_least * size]
    smallest = min((size, name) for name, size in units)
    size, name = max(enough, default=smallest)
    return f"{amount // size}{name}"


def parse_address(value: object) -> Address:
    """Read `host:port`, with IPv6 in brackets (`[::1]:5000`) and a port from 0 to 65535.

    Raises:
        Refusal: the value has another form.
    """
    if isinstance(value, Address):
        return value
    text = value if isinstance(value, str) else ""
    host, colon, port = text.strip().rpartition(":")
    bare = _read_host(host) if colon and _is_port(port) else None
    if bare is None:
        raise Refusal(
            f"{quote(value)} is not a host and a port of at most 65535",
            'write host:port such as "127.0.0.1:5000", "0.0.0.0:5000" or "[::1]:5000"',
        )
    return Address(bare, int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535


def _read_host(text: str) -> str | None:
    try:
        if text.startswith("[") and text.endswith("]"):
            return str(ipaddress.IPv6Address(text[1:-1]))
        if text and text.strip("0123456789.") == "":
            return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None
    return text if _HOST.fullmatch(text) else None


def parse_proxy(text: str) -> str:
    """Return a proxy's URL (`http`, `https`, `socks5`, `socks5h`), or "" for none.

    Raises:
        Refusal: the URL has another scheme, no host, or a path.
    """
    cure = 'write "http://host:port", "socks5://host:port", "socks5h://host:port", or "" for none'
    if not text:
        return ""
    url = split_url(text, ("http", "https", "socks5", "socks5h"), cure)
    if url.path not in {"", "/"} or "?" in text or "#" in text:
        raise Refusal("a proxy is a host and a port, without a path", cure)
    return text.rstrip("/")


def mask_proxy(text: str) -> str:
    """Return a proxy's URL with asterisks instead of its password, if it has one."""
    scheme, mark, rest = text.partition("://")
    credentials, at, host = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{mark}{user}{colon}{MASK if colon else ''}{at}{host}"


def parse_list(text: str) -> list[object]:
    """Read a list from an environment variable: a JSON array, or entries separated by commas."""
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        listed = None
    if isinstance(listed, list):
        return listed
    # A comma inside {1,3} belongs to a regular expression.
    return [part.strip() for part in re.split(r",(?![^{]*\})", text) if part.strip()]


def parse_table(text: str) -> object:
    """Read a table from an environment variable: a JSON object; other text stays unchanged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def format_key(parts: Iterable[str]) -> str:
    """Return the name of a setting as TOML writes it: `upstreams."docker.io".proxy`."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part) for part in parts)


def split_url(text: str, schemes: tuple[str, ...], cure: str) -> SplitResult:
    """Return the parts of a URL.

    Raises:
        Refusal: it is not a URL of one of these schemes with a host.
    """
    try:
        url = urlsplit(text)
        usable = url.scheme in schemes and url.hostname and (url.port or url.netloc[-1] != ":")
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f\\]", text):
        shown = "this" if "@" in text else quote(text)
        raise Refusal(f"{shown} is not a URL of {' or '.join(schemes)}", cure)
    return url


def quote(value: object) -> str:
    """Return a value for a message, in one line and not too long."""
    # repr escapes line breaks; TOML has no True and False.
    return repr(value).lower() if isinstance(value, bool) else repr(value)[:80]


def check_registry(text: str) -> str:
    """Return the name of a registry unchanged.

    Raises:
        Refusal: the text is not the name of a registry.
    """
    try:
        return parse_registry(text)
    except NameInvalid as error:
        raise Refusal(
            f"{text[:80]!r} is not a registry's name",
            'write host or host:port in lower case, such as "registry.example.net:5000"',
        ) from error


def compile_pattern(value: object) -> object:
    """Return text as a regular expression, and any other value unchanged: pydantic checks that.

    Raises:
        Refusal: the text is not a regular expression.
    """
    if not isinstance(value, str):
        return value  # a compiled pattern; pydantic refuses anything else
    try:
        return re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise Refusal(
            f"{value[:80]!r} is not a regular expression ({error})",
            r"write one that matches whole tags, such as 'v\d+\.\d+\.\d+'",
        ) from error
