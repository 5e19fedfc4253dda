"""What tags serve: reads their files, lets `tag_delay.py` decide, and records it."""

from collections.abc import Callable
from dataclasses import dataclass

from registry.catalog.tag_hold import NO_HOLD, TagHold
from registry.content.tag_delay import TagDelays, decide, describe, describe_due
from registry.content.tag_history import KnownTag, TagHistories
from registry.errors import StoreError, TagTooNew
from registry.logs import get_logger
from registry.mirror.manifest_memory import KnownManifest
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.store.tag_history import PRECISION, TagHistory


@dataclass(frozen=True, slots=True)
class ChosenDigest:
    """The digest that a tag serves, and why it does not follow its upstream, if so."""

    digest: Digest
    hold: TagHold = NO_HOLD
    warning: str = ""


class TagDecisions:
    """Decides what tags serve."""

    def __init__(
        self, histories: TagHistories, delays: TagDelays, clock: Callable[[], float]
    ) -> None:
        self._histories = histories
        self._delays = delays
        self._clock = clock
        self._log = get_logger("registry.mirror")

    def is_settled(self, known: KnownManifest | None, digest: Digest) -> bool:
        """Whether the tag of a known manifest serves what its upstream says, without a decision.

        Once a day this is false, so that the file says when the digest was last seen.
        """
        if known is None or known.manifest.digest != digest or not known.hold.is_none:
            return False
        return known.checked // PRECISION == self._clock() // PRECISION

    async def find_said(
        self, repository: Repository, tag: Tag, known: KnownManifest | None
    ) -> Digest | None:
        """Return what the upstream said last about a tag of a known manifest; None: not known."""
        if known is None or known.hold.is_none:
            return None if known is None else known.manifest.digest
        try:
            latest = (await self._histories.read(repository, tag)).history.latest
        except StoreError:  # `choose` logs it
            return None
        return Digest.parse(latest.digest) if latest else None

    async def choose(
        self, repository: Repository, tag: Tag, digest: Digest, known: KnownManifest | None
    ) -> ChosenDigest:
        """Record that the upstream says that a tag leads to `digest`; return what is served.

        `known` is the manifest that the tag serves until now, if it is stored.

        Raises:
            TagTooNew: nothing is served.
            StoreError: the disk refused to say what is known of the tag.
        """
        now = self._clock()
        found = await self._record(repository, tag, digest, known, now)
        served = known.manifest.digest if known is not None else found.served or found.expired
        return self._decide(repository, tag, found.history, served, now)

    async def _record(
        self,
        repository: Repository,
        tag: Tag,
        digest: Digest,
        known: KnownManifest | None,
        now: float,
    ) -> KnownTag:
        """Record what was heard of a tag at `now`; return what is known of it.

        Raises:
            StoreError: the disk refused to say what is known.
        """
        policy = self._delays.find(repository, tag)
        confirmed = None
        if known is not None and known.hold.is_none:
            confirmed = known.manifest.digest, known.checked
        try:
            return await self._histories.see(
                repository, tag, digest, now, confirmed=confirmed, is_only=policy.refuses_new
            )
        except StoreError as error:  # a pull does not fail because of a full disk
            self._log.error("tag history not recorded", image=f"{repository}:{tag}", why=str(error))
        try:
            return await self._read_with(repository, tag, digest, now)
        except StoreError:
            if known is None and policy.min_age:
                raise  # the tag may have a former image
            return KnownTag(TagHistory().see(str(digest), now), None)

    async def choose_again(
        self, repository: Repository, tag: Tag, known: KnownManifest
    ) -> ChosenDigest:
        """Return what a tag serves by what its upstream said last, because it does not answer.

        Raises:
            StoreError: the disk refused.
        """
        found = await self._histories.read(repository, tag)
        served = known.manifest.digest
        return self._decide(repository, tag, found.history, served, self._clock())

    async def preview(self, repository: Repository, tag: Tag, digest: Digest) -> Digest:
        """Return what a tag would serve if the upstream said `digest`; nothing is recorded.

        Raises:
            TagTooNew: nothing would be served.
            StoreError: the disk refused.
        """
        now = self._clock()
        found = await self._read_with(repository, tag, digest, now)
        served = found.served or found.expired
        return self._decide(repository, tag, found.history, served, now, is_quiet=True).digest

    async def _read_with(
        self, repository: Repository, tag: Tag, digest: Digest, now: float
    ) -> KnownTag:
        """Return what is known of a tag that leads to `digest` at `now`, which is not recorded.

        Raises:
            StoreError: the disk refused.
        """
        found = await self._histories.read(repository, tag)
        history = found.history.see(str(digest), now, str(found.served or ""))
        return KnownTag(history, found.target)

    async def choose_without(self, repository: Repository, tag: Tag) -> ChosenDigest:
        """Return what a tag serves if what it served until now is nowhere to be had any more.

        Raises:
            TagTooNew: nothing is served.
            StoreError: the disk refused.
        """
        found = await self._histories.read(repository, tag)
        return self._decide(repository, tag, found.history, None, self._clock())

    def _decide(
        self,
        repository: Repository,
        tag: Tag,
        history: TagHistory,
        served: Digest | None,
        now: float,
        *,
        is_quiet: bool = False,
    ) -> ChosenDigest:
        policy = self._delays.find(repository, tag)
        decision = decide(history, str(served or ""), policy, now)
        latest = history.latest
        image = f"{repository}:{tag}"
        if not decision.digest and latest is not None:
            until = describe_due(decision.due)
            raise TagTooNew(image, latest.digest, until, f"{policy.text}, new_tags = refuse")
        if decision.due and latest is not None and latest.first == now and not is_quiet:
            self._log.warning(
                "tag moved, and its former image is served",
                image=image,
                digest=latest.digest,
                former=decision.digest,
                until=describe_due(decision.due),
            )
        return ChosenDigest(
            Digest.parse(decision.digest),
            TagHold(decision.due, decision.is_rolled_back),
            describe(decision, history, policy),
        )
