"""The switches of the fake upstream: attributes that a test may change at any time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Login = tuple[str, str]
# How a page of tags names the next page: `lists.py` says what each of them looks like.
LinkStyle = Literal[
    "relative", "absolute", "inside", "http", "REL", "no rel", "token", "cursor", "none"
]


@dataclass(eq=False, repr=False)
class Conduct:
    """The switches of the fake; rates are bytes per second, times are seconds.

    `faces.py` has combinations of them, which play the registries of the world.
    """

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
    cut_about_every: int | None = None  # bytes on average; each body is cut after another number
    delay: float = 0  # before each answer
    rate: float | None = None
    connection_rate: float | None = None

    # Where the registry is: a path before `/v2/` ("/repository/hub"), and what comes after `/v2/`
    # before the name of each repository ("hub-proxy/"). The content has neither in its names.
    base_path: str = ""
    project: str = ""

    # `challenge_at_ping_only`: other requests get `anonymous_status` without a challenge.
    challenge_at_ping_only: bool = False
    anonymous_status: int = 401
    names_scope: bool = True
    scope_prefix: str = ""  # before the project and name of a repository, in scopes
    token_status: int | None = None  # instead of a token

    # Requests that are refused with this status.
    head_status: int | None = None  # the HEAD of a manifest
    head_blob_status: int | None = None
    range_status: int | None = None
    by_digest_status: int | None = None  # a manifest by its digest
    referrers_status: int | None = None
    most_tags_asked: int | None = None  # a larger `n` gets 400

    # `referrers_login`: referrers are redirected to a login page, which answers 200.
    referrers_login: bool = False
    referrers_type: str | None = None  # instead of the content type of an index
    takes_tags_for_digests: bool = False  # the tag `sha256-<hex>` is the manifest of this digest

    page_limit: int | None = None  # the most tags of one page
    link_style: LinkStyle = "relative"
    ignores_last: bool = False
    ignores_n: bool = False

    content_encoding: str | None = None  # of blobs, whose bytes stay as they are
    blob_location: str | None = None  # scheme, host and port to which blobs are redirected
