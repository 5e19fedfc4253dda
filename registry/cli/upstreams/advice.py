"""What `upstreams test` advises to write into the settings, and writing it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from registry.cli.upstreams.password_advice import check_password
from registry.errors import SettingsError
from registry.reports.upstreams import UpstreamTest
from registry.settings.own_file import ChangedFile, set_upstream
from registry.settings.text_edit import Change, format_change
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Refusal, format_key

_WHY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "agree": ("the registry is not reached: two mirrors must agree (docs/security.md)",),
        "trusted": (
            "the registry is not reached, and only this mirror works: it alone then says",
            "which image a tag means, and could give you another one (docs/security.md)",
        ),
    }
)


def list_changes(test: UpstreamTest) -> list[Change]:
    """Return the settings of the upstream to write; none if no endpoint works. Pure."""
    if not test.endpoints:
        return []
    changes = [Change("endpoints", tuple(test.endpoints))]
    if test.names:
        changes.append(Change("names", test.names, _WHY["agree"] if test.names == "agree" else ()))
    if test.trusted:
        changes.append(Change("trusted", tuple(test.trusted), _WHY["trusted"]))
    return changes


def is_written(changes: Sequence[Change], settings: UpstreamSettings) -> bool:
    """Whether the settings have these values already, or there are none. Pure."""
    return all(getattr(settings, each.key) == each.value for each in changes)


def list_settings(test: UpstreamTest) -> Iterator[str]:
    """Yield the lines of the settings file that a test advises. Pure."""
    yield f"[{format_key(('upstreams', test.upstream))}]"
    for change in list_changes(test):
        yield from format_change(change)


def write_advice(config: Path | None, test: UpstreamTest) -> ChangedFile | str:
    """Write what a test advises into the settings file; return why that is not possible, if so."""
    try:
        check_password(test)
        return set_upstream(config, os.environ, test.upstream, list_changes(test))
    except (Refusal, SettingsError, OSError) as error:
        return str(error)
