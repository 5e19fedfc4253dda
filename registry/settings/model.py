"""The types of all settings, with their limits and defaults.

`config/entrepot.toml` explains every setting to operators; `settings/loading.py` loads them.
These are plain dataclasses, whose annotations say what `settings/tables.py` checks; made directly,
their values are not checked. No file is opened. `settings/places.py` says what relative paths are
relative to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from registry.oci.registries import Registries
from registry.settings.access import AccessSettings
from registry.settings.fields import (
    AddressText,
    Duration,
    Form,
    NetworkText,
    Pattern,
    Periods,
    Registry,
    Relation,
    Section,
    Size,
)
from registry.settings.image_patterns import check_patterns
from registry.settings.prefetch import PrefetchSettings
from registry.settings.upstreams import UpstreamSettings, builtin_upstreams
from registry.settings.values import Address, Refusal, format_duration


def _differs_from_listen(console: Address, before: Mapping[str, Any]) -> Address:
    listen = before.get("listen")
    if listen is not None and console.overlaps(listen):
        also = (
            "also server.listen" if console == listen else f"on the port of server.listen, {listen}"
        )
        raise Refusal(f"{console} is {also}", "write another port")
    return console


def _are_names(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not name or any(sign in name for sign in ":/[] "):
            raise Refusal(f"{name!r} is not a host name", 'write names such as "mirror.lan"')
    return tuple(name.lower().removesuffix(".") for name in names)


def _comes_with_cert(key: str, before: Mapping[str, Any]) -> str:
    if bool(key) != bool(before.get("tls_cert")):
        raise Refusal(
            "TLS needs both tls_cert and tls_key", "write both, or neither for plain HTTP"
        )
    return key


def _needs_cert(client_ca: str, before: Mapping[str, Any]) -> str:
    if client_ca and not before.get("tls_cert"):
        raise Refusal(
            "without TLS, clients cannot send certificates", "write tls_cert and tls_key too"
        )
    return client_ca


@dataclass(frozen=True)
class ServerSettings(Section):
    """The addresses for clients (`listen`), and for monitoring (`console`).

    `workers` is the number of processes that serve pulls; 0 means the number of cores, at most 4.
    With `tls_cert` and `tls_key` (paths of PEM files) `listen` uses TLS. `client_ca` is a PEM file
    too: clients may prove with a certificate of this authority who they are. `console_hosts` are
    the names by which people and programs reach the console. What proxies in `trusted_proxies` say
    of their clients is believed.
    """

    listen: AddressText = Address("127.0.0.1", 5000)
    console: Annotated[AddressText, Relation(_differs_from_listen)] = Address("127.0.0.1", 5001)
    console_hosts: Annotated[tuple[str, ...], Form(check=_are_names)] = ()
    workers: Annotated[int, Interval(ge=0, le=64)] = 0
    tls_cert: str = ""
    tls_key: Annotated[str, Relation(_comes_with_cert)] = ""
    client_ca: Annotated[str, Relation(_needs_cert)] = ""
    trusted_proxies: tuple[NetworkText, ...] = ()


def _is_named(path: object) -> object:
    if path == "" or not isinstance(path, str | Path):
        raise Refusal(f"{str(path)[:80]!r} is not the name of a folder", 'write path = "data"')
    return path


def _outlasts_a_pull(keep_for: Mapping[str, float]) -> Mapping[str, float]:
    for pattern, period in keep_for.items():
        if period < 3600:
            why = f"{format_duration(period)} for {pattern[:80]!r} is less than an hour"
            raise Refusal(why, 'write "1h" or more: what is being pulled must not expire')
    return keep_for


@dataclass(frozen=True)
class StorageSettings(Section):
    """The data folder `path`; blobs use at most `limit` bytes, and `reserve` bytes stay free.

    The background audit reads `audit_rate` bytes a second (0: no audit). `keep_for` has, by pattern
    of repositories, how many seconds images are kept after their last pull. To make space, nothing
    is deleted that was pulled in the last `keep_pulled` seconds.
    """

    path: Annotated[Path, Form(read=_is_named)] = Path("data")
    limit: Annotated[Size, Gt(0)] = 50 * 1024**3
    reserve: Size = 1024**3
    audit_rate: Size = 8 * 1024**2
    keep_for: Annotated[Periods, Form(check=_outlasts_a_pull)] = field(default_factory=dict)
    keep_pulled: Duration = 60.0


@dataclass(frozen=True)
class TagSettings(Section):
    """How long the mirror uses a known tag, in seconds (`math.inf`: without end).

    For `fresh_for` seconds it does not ask the upstream again. For `stale_for` seconds it serves
    the tag even if the upstream does not answer within `wait_for` seconds. If the upstream does not
    have a tag, the mirror does not ask again for `missing_for` seconds.
    """

    fresh_for: Duration = 60.0
    stale_for: Duration = float("inf")
    wait_for: Duration = 1.5
    missing_for: Duration = 10.0
    immutable: tuple[Pattern, ...] = ()

    def is_immutable(self, tag: str) -> bool:
        """Whether one of the `immutable` patterns matches the whole of `tag`, such as `v1.2.3`."""
        return any(pattern.fullmatch(tag) for pattern in self.immutable)


@dataclass(frozen=True)
class LimitSettings(Section):
    """What one process may use, whatever clients and upstreams do.

    `connections` is how many it keeps open at once, and `connections_per_address` how many of them
    one client address may have (0: computed from the descriptors that a process may open). The
    timeouts are in seconds: for the whole head of a request, for a TLS handshake, for a connection
    without requests, and for a client that accepts nothing of its answer. A client that accepts
    less than `min_send_rate` bytes a second of its answer is cut too.

    One client address may have `requests_per_address` requests that are not answered yet. It may
    ask `not_found_per_address` times a second for what no upstream has, and 20 times as often at
    once. `readers_per_download` clients may get a blob while it is downloaded.

    All downloads of a process together use at most `download_memory` bytes for what they bring
    before its turn, and at most `download_connections` connections.
    """

    connections: Annotated[int, Ge(0)] = 0
    connections_per_address: Annotated[int, Ge(0)] = 0
    request_timeout: Annotated[Duration, Gt(0)] = 15.0
    handshake_timeout: Annotated[Duration, Interval(gt=0, le=60)] = 15.0
    idle_timeout: Annotated[Duration, Gt(0)] = 75.0
    send_timeout: Annotated[Duration, Gt(0)] = 60.0
    min_send_rate: Size = 1024
    requests_per_address: Annotated[int, Interval(ge=1, le=1_000_000)] = 1000
    not_found_per_address: Annotated[int, Interval(ge=1, le=1_000_000)] = 10
    readers_per_download: Annotated[int, Interval(ge=1, le=1_000_000)] = 2000
    download_memory: Annotated[Size, Ge(1024**2)] = 32 * 1024**2
    download_connections: Annotated[int, Interval(ge=1, le=10_000)] = 64


def _has_keys(is_required: bool, before: Mapping[str, Any]) -> bool:
    if is_required and not before.get("keys"):
        raise Refusal("there is no key to check with", 'write keys = ["/.../maker.pub.pem"]')
    return is_required


@dataclass(frozen=True)
class BundleSettings(Section):
    """Which bundles may be imported: those signed by one of `keys` (paths of PEM files).

    If there are `keys`, a bundle with another signature or without one is refused. With
    `require_signature` there have to be `keys`, so that they cannot be left out by mistake.
    """

    keys: tuple[str, ...] = ()
    require_signature: Annotated[bool, Relation(_has_keys)] = False


def _have_one_default(upstreams: Mapping[str, Any]) -> Mapping[str, Any]:
    defaults = [name for name, upstream in upstreams.items() if upstream.default]
    if len(defaults) > 1:
        raise Refusal(
            f"default = true is written in {' and in '.join(defaults)}",
            "keep it in one of them and write default = false in the others",
        )
    if not defaults:
        raise Refusal(
            "none of them has default = true",
            "write it in the one that plain image names belong to",
        )
    return upstreams


def _share_no_name(upstreams: Mapping[str, Any]) -> Mapping[str, Any]:
    owners = {name: name for name in upstreams}
    for name, upstream in upstreams.items():
        for alias in upstream.aliases:
            owner = owners.setdefault(alias, name)
            if owner != name:
                raise Refusal(
                    f"{alias} is an alias of {name}, and a name or an alias of {owner}",
                    f'configure [upstreams."{name}"] instead, or change its aliases',
                )
    return upstreams


def _have_names_of_their_own(
    prefetch: tuple[PrefetchSettings, ...],
) -> tuple[PrefetchSettings, ...]:
    names = [each.name for each in prefetch]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise Refusal(f"two of them have the name {twice!r}", "give one of them another name")
    return prefetch


def _build_upstreams() -> dict[str, UpstreamSettings]:
    return {name: UpstreamSettings(**table) for name, table in builtin_upstreams().items()}


@dataclass(frozen=True)
class Settings(Section):
    """All settings. `upstreams` are by name; by default they are the built-in upstreams."""

    offline: bool = False
    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    tags: TagSettings = TagSettings()
    upstreams: Annotated[
        Mapping[Registry, UpstreamSettings],
        Form(check=_have_one_default),
        Form(check=_share_no_name),
        Form(check=check_patterns),
    ] = field(default_factory=_build_upstreams)
    limits: LimitSettings = LimitSettings()
    access: AccessSettings = field(default_factory=AccessSettings)
    bundles: BundleSettings = BundleSettings()
    prefetch: Annotated[tuple[PrefetchSettings, ...], Form(check=_have_names_of_their_own)] = ()

    @property
    def default_upstream(self) -> str:
        """The name of the upstream that plain image names belong to."""
        return next(name for name, upstream in self.upstreams.items() if upstream.default)

    @property
    def registries(self) -> Registries:
        """Which registry an image name belongs to: by the upstreams, their aliases, the default."""
        aliases = {name: upstream.aliases for name, upstream in self.upstreams.items()}
        return Registries.of(self.default_upstream, aliases)

    @property
    def keep_for(self) -> Mapping[str, float]:
        """`storage.keep_for` by patterns of own names; those of the file may have an alias."""
        resolve = self.registries.resolve
        return {resolve(each): period for each, period in self.storage.keep_for.items()}
