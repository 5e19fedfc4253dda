"""The switches of the fake upstream: attributes that a test may change at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Login = tuple[str, str]


@dataclass(eq=False, repr=False)
class Conduct:
    """The switches of the fake; rates are bytes per second, times are seconds."""

    auth: Literal["bearer", "basic", "none"] = "bearer"
    require_user: Login | None = None
    private: Mapping[str, Login] = field(default_factory=dict)
    hub_style_unknown: bool = False
    realm_override: str | None = None
    service: str = "registry.fake"
    token_ttl: float = 300
    announce_ttl: bool = True
    url_ttl: float = 3000

    pulls_left: int | None = None
    pulls_limit: int = 100
    pulls_window: int = 21600
    pulls_retry_after: int | None = None

    redirect_blobs: bool = True
    ranges_supported: bool = True
    referrers_supported: bool = True

    cut_every: int | None = None
    rate: float | None = None
    connection_rate: float | None = None
