"""Every error of Entrepôt, in one tree.

    EntrepotError
    ├── InvalidInput              the asker must change the request
    │   ├── NameInvalid           repository name outside the grammar
    │   ├── TagInvalid            tag outside the grammar
    │   ├── DigestInvalid         digest outside the grammar, or an unsupported algorithm
    │   ├── KeyInvalid            not a key that signs bundles
    │   ├── VolumeTooSmall        no bundle can be cut that small
    │   ├── PlatformInvalid       not os/architecture[/variant]
    │   ├── ClientInvalid         not an address, a network or a glob of addresses
    │   ├── PaginationInvalid     `n` is not a number
    │   ├── ListInvalid           a list of images, or a file that names some, cannot be read
    │   └── RangeUnsatisfiable    the byte range lies behind the end
    ├── Unknown                   surely not here, and surely not there
    │   ├── NameUnknown           no such repository, or no such upstream
    │   ├── ManifestUnknown       no such tag or manifest in this repository
    │   ├── PlatformUnknown       the image has no manifest for this platform
    │   ├── BlobUnknown           no such blob in this repository
    │   └── ReferrersUnsupported  the upstream has no referrers API
    ├── UpstreamError             we could not tell: the other side did not say
    │   ├── UpstreamUnreachable   no connection, no answer in time, 5xx
    │   ├── UpstreamThrottled     429: wait `retry_after` seconds
    │   ├── UpstreamDenied        401 or 403 after authenticating as configured
    │   ├── UpstreamFaulty        it answered, but not what the specification allows
    │   └── UpstreamOffline       this mirror was told to open no connection
    ├── ManifestInvalid           a document that no client should be given
    ├── DigestMismatch            bytes that are not what their name says
    ├── ImagePinned               a pin forbids what was asked
    ├── BundleInvalid             a bundle that is damaged, or was never one
    ├── NotPinned                 there is no such pin to take away
    ├── StoreError                the disk refused
    │   └── StoreTooNew           the data folder belongs to a newer version
    └── SettingsError             the configuration cannot be used

`Unknown` and `UpstreamError` are different answers: *absent* may be remembered and acted on,
*could not tell* never is. Facts are attributes; the sentence is made from them. Nothing here knows
HTTP: `registry/api/errors.py` holds the one table that does.
"""

from collections.abc import Iterable, Sequence
from typing import Self


class EntrepotError(Exception):
    """Root of the tree; `str()` is a sentence an operator or a client may read."""

    def copy(self) -> Self:
        """Return this error without its traceback, which would keep every catcher's frames."""
        again = type(self).__new__(type(self))
        again.args = self.args
        again.__dict__.update(self.__dict__)
        return again


class InvalidInput(EntrepotError):
    """The request is malformed; repeating it unchanged cannot help."""


class NameInvalid(InvalidInput):
    """A repository name outside the grammar of the distribution specification."""

    def __init__(self, name: str) -> None:
        self.name = name
        rule = "lower-case letters, digits and single separators (. _ __ -) in segments joined by /"
        super().__init__(f"invalid repository name {name[:300]!r}: {rule}, at most 255 characters")


class TagInvalid(InvalidInput):
    """A tag outside the grammar of the distribution specification."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        rule = "at most 128 letters, digits, '_', '.' or '-', not beginning with '.' or '-'"
        super().__init__(f"invalid tag {tag[:300]!r}: {rule}")


class DigestInvalid(InvalidInput):
    """A digest outside the grammar, or of an algorithm that is not sha256 or sha512."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        rule = "sha256 with 64 or sha512 with 128 lower-case hexadecimal digits"
        super().__init__(f"invalid digest {digest[:300]!r}: {rule}")


class KeyInvalid(InvalidInput):
    """A file that holds no usable Ed25519 key."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"{path} cannot be used as a key ({why}); make one with: openssl genpkey -algorithm"
            " ed25519 -out key.pem, and its public half with: openssl pkey -in key.pem -pubout"
        )


class VolumeTooSmall(InvalidInput):
    """A size of volumes, in bytes, that has no room beside what every volume repeats."""

    def __init__(self, limit: int, least: int) -> None:
        self.limit, self.least = limit, least
        super().__init__(f"volumes of {limit} bytes are too small; this bundle needs {least}")


class PlatformInvalid(InvalidInput):
    """A platform that is not os/architecture[/variant]."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        rule = "os/architecture[/variant], such as linux/arm64"
        super().__init__(f"invalid platform {platform[:100]!r}: {rule}")


class ClientInvalid(InvalidInput):
    """Clients that are named by nothing that an address could match."""

    def __init__(self, client: str) -> None:
        self.client = client
        super().__init__(
            f"invalid client {client[:100]!r}: an address such as 10.0.0.7, a network such as"
            " 10.1.0.0/16, or a glob such as '10.1.*'"
        )


class PaginationInvalid(InvalidInput):
    """`n` of a list is not a non-negative whole number."""

    def __init__(self, n: str) -> None:
        self.n = n
        super().__init__(f"invalid n {n[:100]!r}: a whole number, 0 or more")


class ListInvalid(InvalidInput):
    """A list of images that cannot be used: `source`, its `line` (0: all of it), why, the cure."""

    def __init__(self, source: str, line: int, why: str, cure: str) -> None:
        self.source, self.line, self.why, self.cure = source, line, why, cure
        super().__init__(f"{source}:{line}: {why}; {cure}" if line else f"{source}: {why}; {cure}")


class RangeUnsatisfiable(InvalidInput):
    """A byte range that begins at or behind the end of the content (`size` bytes)."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the range lies outside the {size} bytes of the content")


class Unknown(EntrepotError):
    """Surely absent: this may be remembered."""


class NameUnknown(Unknown):
    """No such repository, or no such upstream (then `configured` names those there are)."""

    def __init__(self, name: str, configured: Sequence[str] = ()) -> None:
        self.name, self.configured = name, tuple(configured)
        cure = f"; configured upstreams: {', '.join(self.configured)}" if self.configured else ""
        super().__init__(f"{name[:300]} is not known here{cure}")


class ManifestUnknown(Unknown):
    """No such tag or manifest in this repository."""

    def __init__(self, repository: str, reference: str, why: str = "") -> None:
        self.repository, self.reference, self.why = repository, reference, why
        super().__init__(f"no manifest {reference} in {repository}" + (f": {why}" if why else ""))


class PlatformUnknown(Unknown):
    """An image without a manifest for `platform`; `found` are those it has."""

    def __init__(self, image: str, platform: str, found: Sequence[str]) -> None:
        self.image, self.platform, self.found = image, platform, tuple(found)
        super().__init__(f"{image} is not for {platform}, but for {', '.join(found) or 'none'}")


class BlobUnknown(Unknown):
    """No such blob in this repository (it may be in another: permission is not shared)."""

    def __init__(self, repository: str, digest: str) -> None:
        self.repository, self.digest = repository, digest
        super().__init__(f"no blob {digest} in {repository}")


class ReferrersUnsupported(Unknown):
    """The upstream answered 404 to the referrers API: clients fall back to the tag scheme."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        super().__init__(f"the upstream of {repository} has no referrers API")


class UpstreamError(EntrepotError):
    """The upstream did not settle the question; what is known here stays true.

    `endpoint` is scheme, host and port only: no path, no query, no credentials.
    """

    def __init__(self, endpoint: str, why: str, retry_after: float | None = None) -> None:
        self.endpoint, self.why, self.retry_after = endpoint, why, retry_after
        super().__init__(f"{endpoint}: {why}")

    def tell_with(self, failures: Iterable["UpstreamError"]) -> None:
        """Tell of the other endpoints' failures too, in the order in which they were asked."""
        told = {each.endpoint: each.why for each in (*failures, self)}
        self.args = ("; ".join(f"{endpoint}: {why}" for endpoint, why in told.items()),)


class UpstreamUnreachable(UpstreamError):
    """No connection, no answer in time, a broken transfer, or a 5xx."""


class UpstreamThrottled(UpstreamError):
    """The upstream answered 429; `retry_after` is in seconds where it said so."""


class UpstreamDenied(UpstreamError):
    """401 or 403 although authenticated as configured: private, absent, or bad credentials."""


class UpstreamFaulty(UpstreamError):
    """An answer the specification does not allow: a portal page, wrong bytes, a bad range."""


class UpstreamOffline(UpstreamError):
    """`offline = true`: no connection is opened, and what is not here cannot be had."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "this mirror is offline (offline = true) and does not have it")


class ManifestInvalid(EntrepotError):
    """A manifest that must not reach a client: ambiguous, too large, not JSON, unsupported."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"manifest refused: {why}")


class DigestMismatch(EntrepotError):
    """The bytes are not what their name says; they were thrown away."""

    def __init__(self, digest: str, why: str) -> None:
        self.digest, self.why = digest, why
        super().__init__(f"{digest}: {why}")


class ImagePinned(EntrepotError):
    """What `image` pins is to stay until it is unpinned."""

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(f"{image} is pinned; first: entrepot images unpin {image}")


class BundleInvalid(EntrepotError):
    """A bundle that cannot be trusted: `place` is the file or blob, `why` says what is wrong."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(f"{place}: {why}")


class NotPinned(EntrepotError):
    """There is no pin of this name."""

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(f"{image} is not pinned; see: entrepot images ls")


class StoreError(EntrepotError):
    """The disk refused; `path` is where, `why` the system's words."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class StoreTooNew(StoreError):
    """The data folder was written by a newer version: it is not touched."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            path,
            f"written by a newer Entrepôt (layout {found}, this one knows {known}); "
            "run that version, or give storage.path another folder",
        )


class SettingsError(EntrepotError):
    """A setting that cannot be used: `key`, why, and what to write instead."""

    def __init__(self, key: str, why: str, cure: str) -> None:
        self.key, self.why, self.cure = key, why, cure
        super().__init__(f"{key}: {why}; {cure}")
