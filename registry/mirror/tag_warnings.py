"""What is doubtful about an answer that says what a tag means: for clients, log and metrics."""

from registry.errors import TagDisputed
from registry.logs import get_logger
from registry.metrics.process_metrics import Metrics
from registry.mirror.manifest_cache import ManifestCache
from registry.mirror.manifest_memory import KnownManifest
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.upstream.contract import TagAnswer

DISAGREES, EARLIER = "disagrees", "earlier"  # the reasons in the metric
_BETWEEN = "; "  # two warnings
_RETURNED = "this may be an old image: the upstream says that the tag leads again to"


class TagWarnings:
    """Compares answers about tags with each other, and with what is known of the tag."""

    def __init__(self, cache: ManifestCache, metrics: Metrics) -> None:
        self._cache = cache
        self._metrics = metrics
        self._log = get_logger("registry.mirror")

    def examine(
        self,
        repository: Repository,
        tag: Tag,
        known: KnownManifest | None,
        answer: TagAnswer,
        *,
        said: Digest | None,
    ) -> str:
        """Return the warning for clients, which is empty if nothing is doubtful.

        `said` is what the upstream said before, which `known` need not be: see `TagHold`.
        It is doubtful if endpoints disagree; or if endpoints that are not trusted change a tag to a
        manifest that it has led to before. It is logged and counted too.

        Raises:
            StoreError: the catalog refused.
        """
        found = (
            self._find_dispute(repository, tag, answer),
            self._find_return(repository, tag, known, answer, said),
        )
        return _BETWEEN.join(filter(None, found))

    def count_dispute(self, error: TagDisputed) -> None:
        """Count the endpoints that disagree about a tag, if nobody decides."""
        self._count(DISAGREES, *error.said)

    def _find_dispute(self, repository: Repository, tag: Tag, answer: TagAnswer) -> str:
        """Return the warning that endpoints disagree, if they do."""
        if not answer.others:
            return ""
        said = {answer.endpoint: answer.digest, **answer.others}
        self._log.warning(
            "endpoints disagree about a tag",
            image=f"{repository}:{tag}",
            used=str(answer.digest),
            said={origin: str(digest) for origin, digest in said.items()},
        )
        self._count(DISAGREES, *answer.others)
        others = " or ".join(dict.fromkeys(map(str, answer.others.values())))
        return (
            f"the endpoints of the upstream disagree about this tag: this is {answer.digest},"
            f" and another one says {others}"
        )

    def _find_return(
        self,
        repository: Repository,
        tag: Tag,
        known: KnownManifest | None,
        answer: TagAnswer,
        current: Digest | None,
    ) -> str:
        """Return the warning that the tag leads to an earlier manifest again, if it does.

        It is given for as long as only endpoints say so that are not trusted.
        """
        if known is None or current is None or answer.is_trusted:
            return ""
        if answer.digest == current:
            told = known.warning.split(_BETWEEN)
            return next((each for each in told if each.startswith(_RETURNED)), "")
        if not self._cache.was_target(repository, tag, answer.digest):
            return ""
        self._log.warning(
            "tag leads to an earlier manifest again",
            image=f"{repository}:{tag}",
            endpoint=answer.endpoint,
            digest=str(answer.digest),
            former=str(current),
        )
        self._count(EARLIER, answer.endpoint)
        return f"{_RETURNED} {answer.digest}, after it led to {current}"

    def _count(self, reason: str, *origins: str) -> None:
        for origin in origins:
            self._metrics.tag_warnings.labels(origin, reason).inc()
