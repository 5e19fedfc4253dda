"""The report of images whose tags were looked up again at their upstreams."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class RefreshedImage:
    """The digest that the name of an image leads to now, and the platforms that were fetched.

    `digest` is None if the upstream did not answer, or in a dry run. `fetched` bytes were
    downloaded; `failures` are sentences about failed downloads, and `foreign_layers` about layers
    that the upstream does not have. `warning` is what clients are told about the name, such as that
    it leads to a former image.
    """

    image: str
    platforms: list[str]
    digest: str | None = None
    fetched: int = 0
    failures: list[str] = field(default_factory=list)
    foreign_layers: list[str] = field(default_factory=list)
    warning: str = ""


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """The results for all images that were refreshed, or would be refreshed."""

    images: list[RefreshedImage]
    dry_run: bool

    @property
    def failed(self) -> list[RefreshedImage]:
        """The images with a failed download."""
        return [each for each in self.images if each.failures]
