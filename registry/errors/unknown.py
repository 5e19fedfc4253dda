"""Errors of a name or digest that does not exist: such answers may be remembered."""

from collections.abc import Sequence

from registry.errors.root import EntrepotError


class Unknown(EntrepotError):
    """A name or digest does not exist; this answer may be remembered."""


class NameUnknown(Unknown):
    """No such repository, or no such upstream: then `configured` has the names of all upstreams."""

    def __init__(self, name: str, configured: Sequence[str] = ()) -> None:
        self.name, self.configured = name, tuple(configured)
        others = f"; configured upstreams: {', '.join(self.configured)}" if self.configured else ""
        super().__init__(f"{name[:300]} is not known here{others}")


class ManifestUnknown(Unknown):
    """No such tag or manifest in this repository."""

    def __init__(self, repository: str, reference: str, why: str = "") -> None:
        self.repository, self.reference, self.why = repository, reference, why
        super().__init__(f"no manifest {reference} in {repository}" + (f": {why}" if why else ""))


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

    def __init__(self, repository: str) -> None:
        self.repository = repository
        super().__init__(f"the upstream of {repository} has no referrers API")
