"""What is known of a tag in its files: its target, and its history (decision record 0041)."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.store.file_locks import ExclusiveLocks
from registry.store.files import translate_errors
from registry.store.tag_history import SeenDigest, TagHistory
from registry.store.tags import TagFiles, TagTarget


@dataclass(frozen=True, slots=True)
class KnownTag:
    """The history of a tag, with what the tag file says, and this file; None if there is none."""

    history: TagHistory
    target: TagTarget | None

    @property
    def served(self) -> Digest | None:
        """The digest that the tag leads to here; None if it is not known."""
        return Digest.parse(self.target.digest) if self.target else None

    @property
    def expired(self) -> Digest | None:
        """What a tag has served until its image expired; None if it has an image, or never had."""
        last = "" if self.target else self.history.last_served
        return Digest.parse(last) if last else None

    def allows(self, digest: Digest) -> bool:
        """Whether the tag may lead to `digest`: not if it is rolled back to another one."""
        return self.history.rolled_back_to in ("", str(digest))


class TagHistories:
    """Reads and writes the histories of tags. A tag that has never moved has no file of its own."""

    def __init__(self, tags: TagFiles, locks: ExclusiveLocks) -> None:
        self._tags = tags
        self._locks = locks

    def hold(self, repository: Repository, tag: Tag) -> AbstractAsyncContextManager[None]:
        """Return the lock for changes of what a tag leads to, and of its history.

        Raises:
            StoreError: when it is entered: another process has held it for too long.
        """
        return self._locks.hold(f"tag:{repository}:{tag}")

    async def read(self, repository: Repository, tag: Tag) -> KnownTag:
        """Return what the files say of a tag.

        Raises:
            StoreError: the disk refused.
        """
        return (await self._read(repository, tag))[1]

    async def _read(self, repository: Repository, tag: Tag) -> tuple[TagHistory, KnownTag]:
        """Return the history as it is written, and what is known."""
        written = await self._tags.read_history(repository, tag)
        with translate_errors(f"the tag file of {repository}:{tag}"):
            target = await self._tags.read(repository, tag)
        history = written
        if target is not None and not written.seen:
            history = written.add(SeenDigest(target.digest, target.seen, target.seen))
        return written, KnownTag(history, target)

    async def write(self, repository: Repository, tag: Tag, history: TagHistory) -> None:
        """Replace the history of a tag; the caller holds its lock.

        Raises:
            StoreError: the disk refused.
        """
        await self._tags.write_history(repository, tag, history)

    async def see(
        self,
        repository: Repository,
        tag: Tag,
        digest: Digest,
        now: float,
        *,
        confirmed: tuple[Digest, float] | None = None,
        is_only: bool = False,
    ) -> KnownTag:
        """Record that it was heard at `now` that a tag leads to `digest`; return what is known.

        `confirmed` is what was heard last, and when, if that is known more exactly than in the
        file. Nothing is written of a tag that was not known before, because the tag file will say
        it; with `is_only` there will be none.

        Raises:
            StoreError: the disk refused.
        """
        async with self.hold(repository, tag):
            written, known = await self._read(repository, tag)
            history = known.history
            if confirmed is not None:
                history = history.confirm(str(confirmed[0]), confirmed[1])
            history = history.see(str(digest), now, str(known.served or ""))
            is_new = known.target is None and written == TagHistory()
            if history.differs(written) and (is_only or not is_new):
                await self.write(repository, tag, history)
        return KnownTag(history, known.target)


def describe_rollback(history: TagHistory) -> str:
    """Return what clients are told about a tag that was rolled back."""
    since = format_moment(history.rolled_back)
    return f"an operator of this mirror has rolled this tag back to this image, on {since}"


def format_moment(moment: float) -> str:
    """Return a time for people who may be anywhere."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
