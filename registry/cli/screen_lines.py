"""The lines that a server writes to a terminal: its banner, pulls, and events of the log. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from registry import __version__
from registry.cli.addresses import EVERYWHERE
from registry.cli.lines import wrap_words
from registry.cli.tables import shorten_digests
from registry.cli.terminal import format_bytes, format_count, format_moment
from registry.cli.upstreams.numbers import format_long
from registry.reports.pulls import OpenPull, PullReport
from registry.settings.model import Settings
from registry.settings.values import format_key

# Events that say nothing to the person in front of the terminal; warnings and errors are shown.
_HIDDEN = frozenset(
    {"download started", "download ended", "audit ended", "request", "request began"}
)
# Events whose names in the log say too little to a person.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "passed through, not stored": "sent to a client, and not stored here",
        "rebuilding the catalog from the files": "the catalog is made again from the stored files",
        "catalog rebuilt": "the catalog was made again",
    }
)
# The client of such a pull gets everything, so for the person at the terminal it is no error.
_MILD = frozenset({"passed through, not stored"})
_SIZES = frozenset({"bytes", "fetched", "received"})  # facts that are numbers of bytes
_TIMES = frozenset({"next"})  # facts that are times with their zone
INDENT = " " * 7  # below the text that follows the time
BANNER_INDENT = " " * 12  # below the text that follows the names in the banner
_MAPPED = "::ffff:"  # prefix of an IPv4 address that connected to an IPv6 socket
_UNNAMED = frozenset({"event", "level", "timestamp", "exception", "logger", "why"})


def format_banner(
    settings: Settings,
    started: Mapping[str, Any],
    *,
    has_own_file: bool = True,
    command: str = "entrepot",
) -> Iterator[str]:
    """Yield the lines at the start; `started` is the log line `serving`.

    Without `has_own_file`, the operator has no settings file, and learns how to make one.
    `command` is what the operator has to type to run Entrepôt.
    """
    host, _, port = started["pulls"].rpartition(":")
    here = f"127.0.0.1:{port}" if host in EVERYWHERE else started["pulls"]
    scheme = "https" if settings.server.tls_cert else "http"
    where = f"{scheme}://{started['pulls']}"
    if host in EVERYWHERE:
        where += " (every address of this machine)"
    yield f"Entrepôt {__version__} serves pulls at {where}"
    yield ""
    if started["offline"]:
        yield f"  Try it    {command} images ls (lists what can be pulled)"
    else:
        yield f"  Try it    docker pull {here}/docker.io/library/busybox"
    if scheme == "http" and not host.strip("[]").startswith(("127.", "::1", "localhost")):
        named = _choose_lan(host, port)
        yield "  Docker    registry-mirrors is enough; to pull by this address, set also:"
        yield f'            insecure-registries: ["{named}"], for plain http'
    yield '  Set up    README.md, "Point your clients at it"'
    yield f"  Data      {started['data']} ({format_bytes(settings.storage.limit)} at most)"
    yield f"  Settings  {started['settings']}"
    if not has_own_file:
        yield f"            {command} config init (writes a file to change them)"
    yield f"  Console   http://{started['console']}"
    yield "  Stop      Ctrl-C, or close this terminal"
    yield ""
    if started["offline"]:
        yield "Offline: only what is stored here is served."
    yield "Each pull is one line:"


def _choose_lan(host: str, port: str) -> str:
    """Return the address that other machines write into their settings."""
    return f"<this machine>:{port}" if host in EVERYWHERE else f"{host}:{port}"


def format_bundle_banner(started: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines at the start of `bundle serve`, after its report on the bundle."""
    yield f"Serving at http://{started['pulls']}; Ctrl-C stops. Each pull is one line:"


def format_pull(pull: PullReport, moment: datetime) -> str:
    """Return the line of a pull: time, image, size, origin, seconds, client."""
    client = pull.client.removeprefix(_MAPPED)
    seconds = f"{pull.seconds:.2f} s" if pull.seconds < 1 else f"{pull.seconds:.1f} s"
    facts = [pull.image]
    if pull.failure:
        facts.append(f"failed: {pull.failure}")
    elif pull.unsent:
        whole = format_bytes(pull.sent + pull.unsent)
        facts.append(f"client left at {format_bytes(pull.sent)} of {whole}")
    else:
        origin = f"{pull.origin}, upstream not reached" if pull.is_stale else pull.origin
        facts += [format_bytes(pull.sent), origin] if pull.sent else [origin]
    return f"{moment:%H:%M}  " + make_plain("  ".join([*facts, seconds, client]))


def format_event(line: Mapping[str, Any], moment: datetime) -> str | None:
    """Return the line of another event of the log; None if it is not shown."""
    event, level = str(line["event"]), line.get("level", "info")
    if level == "debug" or (level == "info" and event in _HIDDEN):
        return None
    level = "warning" if event in _MILD else level
    facts = ", ".join(
        _format_fact(name, value)
        for name, value in line.items()
        if name not in _UNNAMED and value not in ("", None) and value != []
    )
    event = _WORDS.get(event, event)
    text = event if level == "info" else f"{level}: {event}"
    text += f" ({facts})" if facts else ""
    # Most reasons begin with the endpoint, which is a fact already.
    why = str(line.get("why") or "").removeprefix(f"{line.get('endpoint')}: ")
    text += f": {why}" if why else ""
    if "cannot be reached" in why and line.get("upstream"):
        text += f"; check endpoints and proxy in [{format_key(('upstreams', line['upstream']))}]"
    lines = [
        f"{moment:%H:%M}  {shorten_digests(text)}",
        *str(line.get("exception") or "").split("\n"),
    ]
    return "\n".join(make_plain(each) for each in lines if each)


def _format_fact(name: str, value: object) -> str:
    if name in _SIZES and isinstance(value, int):
        size = format_bytes(value)
        return size if name == "bytes" else f"{name} {size}"
    if name in _TIMES:
        return f"{name} {_format_time(str(value))}"
    if name == "seconds" and isinstance(value, float):
        return format_long(value)
    if isinstance(value, list):
        return f"{name} {'; '.join(map(str, value))}"
    return f"{name} {str(value).lower() if isinstance(value, bool) else value}"


def _format_time(text: str) -> str:
    """Return the local time of `2026-11-30T13:28:00+00:00` and its like; other texts unchanged."""
    try:
        return format_moment(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return text


def wrap_line(text: str, width: int, indent: str = INDENT) -> str:
    """Break the first line of a text between words, and indent what follows; see `format_event`.

    Words that are longer than the terminal is wide are not cut, so that they can be copied.
    """
    first, *others = text.split("\n")
    wrapped = wrap_words(first, width, indent)
    return "\n".join([*wrapped, *others])


def format_stopping(pulls: Sequence[OpenPull], wait: float) -> str:
    """Return what the server waits for when it has to stop."""
    if not pulls:
        return "Stopping."
    names = ", ".join(f"{pull.image} to {pull.client.removeprefix(_MAPPED)}" for pull in pulls)
    waiting = f"{format_count(len(pulls), 'pull')} to finish, at most {wait:.0f} s"
    return make_plain(f"Stopping: waiting for {waiting}: {names}. Ctrl-C again stops now.")


def make_plain(text: str) -> str:
    """Replace what could command a terminal: names and errors may come from clients."""
    return "".join(each if each.isprintable() else "?" for each in text)
