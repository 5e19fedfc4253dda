"""The types of all settings, with their limits and defaults.

`config/entrepot.toml` explains every setting to operators; `settings/loading.py` loads them.
The models check their values and open no file. `settings/places.py` says what relative paths are
relative to.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from registry.oci.registries import Registries
from registry.settings.fields import (
    AddressText,
    Duration,
    Pattern,
    Periods,
    Registry,
    Section,
    Size,
)
from registry.settings.prefetch import PrefetchSettings
from registry.settings.upstreams import UpstreamSettings, builtin_upstreams
from registry.settings.values import Address, Refusal, format_duration


class ServerSettings(Section):
    """The addresses for clients (`listen`), and for monitoring (`console`).

    `workers` is the number of processes that serve pulls; 0 means the number of cores, at most 4.
    With `tls_cert` and `tls_key` (paths of PEM files) `listen` uses TLS. `console_hosts` are the
    names by which people and programs reach the console.
    """

    listen: AddressText = Address("127.0.0.1", 5000)
    console: AddressText = Address("127.0.0.1", 5001)
    console_hosts: tuple[str, ...] = ()
    workers: int = Field(default=0, ge=0, le=64)
    tls_cert: str = ""
    tls_key: str = ""

    @field_validator("console")
    @classmethod
    def _differs_from_listen(cls, console: Address, info: ValidationInfo) -> Address:
        listen = info.data.get("listen")
        if listen is not None and console.overlaps(listen):
            also = (
                "also server.listen"
                if console == listen
                else f"on the port of server.listen, {listen}"
            )
            raise Refusal(f"{console} is {also}", "write another port")
        return console

    @field_validator("console_hosts")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not name or any(sign in name for sign in ":/[] "):
                raise Refusal(f"{name!r} is not a host name", 'write names such as "mirror.lan"')
        return tuple(name.lower().removesuffix(".") for name in names)

    @field_validator("tls_key")
    @classmethod
    def _comes_with_cert(cls, key: str, info: ValidationInfo) -> str:
        if bool(key) != bool(info.data.get("tls_cert")):
            raise Refusal(
                "TLS needs both tls_cert and tls_key", "write both, or neither for plain HTTP"
            )
        return key


class StorageSettings(Section):
    """The data folder `path`; blobs use at most `limit` bytes, and `reserve` bytes stay free.

    The background audit reads `audit_rate` bytes a second (0: no audit). `keep_for` has, by pattern
    of repositories, how many seconds images are kept after their last pull. To make space, nothing
    is deleted that was pulled in the last `keep_pulled` seconds.
    """

    path: Path = Path("data")
    limit: Size = Field(default=50 * 1024**3, gt=0)
    reserve: Size = 1024**3
    audit_rate: Size = 8 * 1024**2
    keep_for: Periods = Field(default_factory=dict)
    keep_pulled: Duration = 60.0

    @field_validator("path", mode="before")
    @classmethod
    def _is_named(cls, path: object) -> object:
        if path == "" or not isinstance(path, str | Path):
            raise Refusal(f"{str(path)[:80]!r} is not the name of a folder", 'write path = "data"')
        return path

    @field_validator("keep_for")
    @classmethod
    def _outlasts_a_pull(cls, keep_for: Mapping[str, float]) -> Mapping[str, float]:
        for pattern, period in keep_for.items():
            if period < 3600:
                why = f"{format_duration(period)} for {pattern[:80]!r} is less than an hour"
                raise Refusal(why, 'write "1h" or more: what is being pulled must not expire')
        return keep_for


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


class LimitSettings(Section):
    """What one process may use, whatever clients and upstreams do.

    `connections` is how many it keeps open at once, and `connections_per_address` how many of them
    one client address may have (0: computed from the descriptors that a process may open). The
    timeouts are in seconds: for the whole head of a request, for a TLS handshake, for a connection
    without requests, and for a client that accepts nothing of its answer. A client that accepts
    less than `min_send_rate` bytes a second of its answer is cut too.

    One client address may ask `not_found_per_address` times a second for what no upstream has, and
    20 times as often at once.

    All downloads of a process together use at most `download_memory` bytes for what they bring
    before its turn, and at most `download_connections` connections.
    """

    connections: int = Field(default=0, ge=0)
    connections_per_address: int = Field(default=0, ge=0)
    request_timeout: Duration = Field(default=15.0, gt=0)
    handshake_timeout: Duration = Field(default=15.0, gt=0, le=60)
    idle_timeout: Duration = Field(default=75.0, gt=0)
    send_timeout: Duration = Field(default=60.0, gt=0)
    min_send_rate: Size = 1024
    not_found_per_address: int = Field(default=10, ge=1, le=1_000_000)
    download_memory: Size = Field(default=32 * 1024**2, ge=1024**2)
    download_connections: int = Field(default=64, ge=1, le=10_000)


class AccessSettings(Section):
    """Who may pull: `open` means everybody; `users` is refused (decision record 0010)."""

    mode: Literal["open", "users"] = "open"

    @field_validator("mode")
    @classmethod
    def _can_be_kept(cls, mode: str) -> str:
        if mode == "users":
            raise Refusal(
                '"users" is not available in this version, and pulls would be open to everybody',
                'write mode = "open" and restrict who can reach server.listen',
            )
        return mode


class BundleSettings(Section):
    """Which bundles may be imported: those signed by one of `keys` (paths of PEM files).

    If there are `keys`, a bundle with another signature or without one is refused. With
    `require_signature` there have to be `keys`, so that they cannot be left out by mistake.
    """

    keys: tuple[str, ...] = ()
    require_signature: bool = False

    @field_validator("require_signature")
    @classmethod
    def _has_keys(cls, is_required: bool, info: ValidationInfo) -> bool:
        if is_required and not info.data.get("keys"):
            raise Refusal("there is no key to check with", 'write keys = ["/.../maker.pub.pem"]')
        return is_required


def _build_upstreams() -> dict[str, UpstreamSettings]:
    return {name: UpstreamSettings(**table) for name, table in builtin_upstreams().items()}


class Settings(Section):
    """All settings. `upstreams` are by name; by default they are the built-in upstreams.

    Raises:
        pydantic.ValidationError: some values cannot be used; the error lists all of them.
    """

    offline: bool = False
    server: ServerSettings = ServerSettings()
    storage: StorageSettings = StorageSettings()
    tags: TagSettings = TagSettings()
    upstreams: Mapping[Registry, UpstreamSettings] = Field(default_factory=_build_upstreams)
    limits: LimitSettings = LimitSettings()
    access: AccessSettings = AccessSettings()
    bundles: BundleSettings = BundleSettings()
    prefetch: tuple[PrefetchSettings, ...] = ()

    @field_validator("upstreams")
    @classmethod
    def _have_one_default(cls, upstreams: Mapping[str, Any]) -> Mapping[str, Any]:
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

    @field_validator("upstreams")
    @classmethod
    def _share_no_name(cls, upstreams: Mapping[str, Any]) -> Mapping[str, Any]:
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

    @field_validator("prefetch")
    @classmethod
    def _have_names_of_their_own(
        cls, prefetch: tuple[PrefetchSettings, ...]
    ) -> tuple[PrefetchSettings, ...]:
        names = [each.name for each in prefetch]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise Refusal(f"two of them have the name {twice!r}", "give one of them another name")
        return prefetch

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

    def dump(self) -> dict[str, Any]:
        """Return all settings as the tables, lists and values of TOML and JSON.

        Sizes (`50GiB`) and durations (`60s`) are as people write them; passwords are asterisks.
        """
        tables = self.model_dump(mode="json")
        for upstream in tables["upstreams"].values():
            if not upstream["password"]:
                del upstream["password"]
        for prefetch in tables["prefetch"]:
            del prefetch["every" if prefetch["at"] else "at"]
        return tables
