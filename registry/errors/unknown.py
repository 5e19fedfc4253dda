"""Errors of a name or digest that does not exist: such answers may be remembered."""

from collections.abc import Mapping, Sequence

from registry.errors.root import EntrepotError


class Unknown(EntrepotError):
    """A name or digest does not exist; this answer may be remembered.

    `endpoint` is the endpoint that says so (scheme, host and port); empty if none was asked.
    `answers` says what each endpoint answered, if another one answered something else.
    """

    answer = "does not have it"
    endpoint = ""
    answers = ""
    _own = ""

    def add_answers(self, answers: Mapping[str, str]) -> None:
        """Name in the message what each endpoint answered; `answers` are by endpoint."""
        self._own = self.public
        self.answers = "; ".join(f"{endpoint}: {why}" for endpoint, why in answers.items())
        self.args = (f"{self} ({self.answers})",)

    @property
    def public(self) -> str:
        """What clients may read: the addresses of endpoints are only in the log."""
        return self._own or str(self)


class NameUnknown(Unknown):
    """No such repository, or no such upstream: then `configured` has the names of all upstreams."""

    def __init__(self, name: str, configured: Sequence[str] = ()) -> None:
        self.name, self.configured = name, tuple(configured)
        others = ""
        if self.configured:
            others = f"; configured upstreams: {', '.join(self.configured)}"
            others += f'; to add it, write [upstreams."{name[:300]}"] in the settings'
        super().__init__(f"{name[:300]} is not known here{others}")

    @property
    def public(self) -> str:
        """What clients may read: which upstreams there are is not their business."""
        cure = "; its operator can add it to the settings" if self.configured else ""
        return f"{self.name[:300]} is not known here{cure}"


class ImageUnknown(Unknown):
    """An image that a command names is not stored; `near` are stored images that may be meant."""

    def __init__(self, image: str, near: Sequence[str] = ()) -> None:
        self.image, self.near = image, tuple(near)
        super().__init__(f"{image[:300]} is not stored here{format_near(self.near)}")


class ImageIncomplete(Unknown):
    """An image is not stored, or a part of it is not; then `why` says which part.

    `cure` says what helps; it is empty if downloading the image helps.
    """

    def __init__(self, image: str, why: str = "", cure: str = "") -> None:
        self.image, self.why, self.cure = image, why, cure
        what = f"completely: {why}" if why else "here"
        super().__init__(f"{image} is not stored {what}")


def format_near(near: Sequence[str]) -> str:
    """Return the end of a sentence about an image: which others are what it is not."""
    if not near:
        return ""
    return f", but {near[0]} is" if len(near) == 1 else f", but these are: {', '.join(near)}"


class DigestNotSeen(Unknown):
    """A tag has never led to a digest, as far as is known here."""

    def __init__(self, image: str, digest: str) -> None:
        self.image, self.digest = image, digest
        super().__init__(
            f"{image} has not led to {digest[:200]} here; see: entrepot images history {image}"
        )


class PatternUnmatched(Unknown):
    """A name or glob on the command line matches no stored image."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        super().__init__(f"no stored image matches {pattern[:300]!r}")


class ManifestUnknown(Unknown):
    """No such tag or manifest in this repository; `reason` is why that is the answer."""

    def __init__(
        self, repository: str, reference: str, reason: EntrepotError | None = None
    ) -> None:
        self.repository, self.reference = repository, reference
        self.why = "" if reason is None else str(reason)
        what = f"no manifest {reference} in {repository}"
        self._public = what if reason is None else f"{what}: {reason.public}"
        super().__init__(f"{what}: {self.why}" if self.why else what)

    @property
    def public(self) -> str:
        """What clients may read."""
        return self._public


class PlatformUnknown(Unknown):
    """An image without a manifest for `platform`; it has manifests for the platforms `found`."""

    def __init__(self, image: str, platform: str, found: Sequence[str]) -> None:
        self.image, self.platform, self.found = image, platform, tuple(found)
        super().__init__(f"{image} is not for {platform}, but for {', '.join(found) or 'none'}")


class BlobUnknown(Unknown):
    """No such blob in this repository, even if another repository has it."""

    def __init__(self, repository: str, digest: str) -> None:
        self.repository, self.digest = repository, digest
        super().__init__(f"no blob {digest} in {repository}")


class ReferrersUnsupported(Unknown):
    """The upstream answered 404 to the referrers API: clients then look for the referrers tag."""

    answer = "has no referrers API"

    def __init__(self, repository: str) -> None:
        self.repository = repository
        super().__init__(f"the upstream of {repository} has no referrers API")
