"""Errors of damaged or invalid content, and of operations that a pin does not allow."""

from collections.abc import Sequence

from registry.errors.root import EntrepotError
from registry.errors.unknown import format_near


class ManifestInvalid(EntrepotError):
    """A manifest that no client may get: ambiguous, too large, not JSON, or of an unknown type."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"invalid manifest: {why}")


class DigestMismatch(EntrepotError):
    """Bytes that do not have their digest; they have been deleted.

    `details` are for the operator, and not for clients.
    """

    def __init__(self, digest: str, why: str, details: str = "") -> None:
        self.digest, self.why = digest, why
        super().__init__("; ".join(filter(None, (self.public, details))))

    @property
    def public(self) -> str:
        """What clients may read."""
        return f"{self.digest}: {self.why}"


class DownloadCrashed(EntrepotError):
    """The download of the blob `digest` has ended with a mistake of this program."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(
            f"{digest}: the download has crashed; try again, or see the log of this mirror"
        )


class TooManyDownloads(EntrepotError):
    """So many downloads run that another one cannot begin now; try again later."""

    def __init__(self) -> None:
        super().__init__(
            "this mirror downloads too many other blobs now (limits.download_connections);"
            " try again later"
        )


class TooManyUnknown(EntrepotError):
    """One address has asked for too much that no upstream has; it may try again later."""

    def __init__(self) -> None:
        super().__init__(
            "your address asks this mirror for too much that does not exist; try again later, or"
            " raise limits.not_found_per_address"
        )


class TooManyRequests(EntrepotError):
    """One address has more requests in flight than `most`; it may try again later."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"your address has {most} requests at this mirror that are not answered yet; try again"
            " when some are, or raise limits.requests_per_address"
        )


class TooManyReaders(EntrepotError):
    """More than `most` clients wait for the same download; others may try again later."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"{most} clients are getting this blob while it is downloaded; try again soon, when it"
            " is stored, or raise limits.readers_per_download"
        )


class BundleInvalid(EntrepotError):
    """A bundle that cannot be used: `place` is the file or blob, `why` says what is wrong."""

    def __init__(self, place: str, why: str) -> None:
        self.place, self.why = place, why
        super().__init__(f"{place}: {why}")


class BundleForeign(BundleInvalid):
    """An entry of a bundle that no damage explains: another program has added or changed it."""


class ImagePinned(EntrepotError):
    """An image cannot be removed, because the pin of the name `pin` keeps it.

    `image` is its own name; None if that is the name that is pinned.
    """

    def __init__(self, pin: str, image: str | None = None) -> None:
        self.pin, self.image = pin, image or pin
        what = f"{pin} is pinned; unpin it first"
        if self.image != pin:
            what = f"{self.image} is kept by the pin of {pin}; unpin that first"
        super().__init__(f"{what}: entrepot images unpin {pin}")


class ImageInUse(EntrepotError):
    """A client has pulled the image, so it is not removed although it had expired."""

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(f"{image} was pulled just now, and stays")


class NotRolledBack(EntrepotError):
    """The tag is not rolled back, so that cannot be ended."""

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(
            f"{image} is not rolled back; to serve an image before it is old enough, write its"
            f" digest too: entrepot images release {image} DIGEST"
        )


class NotPinned(EntrepotError):
    """The image is not pinned, so it cannot be unpinned; `near` are pinned images like it."""

    def __init__(self, image: str, near: Sequence[str] = ()) -> None:
        self.image, self.near = image, tuple(near)
        others = format_near(self.near)
        super().__init__(
            f"{image} is not pinned{others}; list the images and their pins: entrepot images ls"
        )
