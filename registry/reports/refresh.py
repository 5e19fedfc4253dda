"""Images whose names were looked up again at their upstreams."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class RefreshedImage:
    """What the name of an image leads to now (`digest`), for which platforms it was fetched.

    `digest` is None where that could not be found out, or in a dry run. `fetched` bytes were
    downloaded; `failures` say what could not be.
    """

    image: str
    platforms: list[str]
    digest: str | None = None
    fetched: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What became of all images that were or would be refreshed."""

    images: list[RefreshedImage]
    dry_run: bool

    @property
    def has_failures(self) -> bool:
        """Whether something could not be fetched."""
        return any(each.failures for each in self.images)
