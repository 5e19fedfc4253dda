"""Verifying a bundle: every byte of it read, and everything told that is wrong. Needs no store."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from registry.bundle.format.tar import Member, format_blob_name, read_blob_name
from registry.bundle.read.head import Opened, find_contradictions, list_users, map_parents, sketch
from registry.bundle.read.sources import BundleSource, format_place
from registry.bundle.read.volume_source import VolumeSource
from registry.errors import BundleInvalid, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest

MAX_USERS = 100  # blobs of which it is told who needs them; more are not read by anybody


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob, or the part of one called `name`, that is not right, and where.

    `images` are the names of those that need it, as far as that is known.
    """

    digest: Digest
    name: str
    place: str
    images: tuple[str, ...] = ()


@dataclass(slots=True)
class Verdict:
    """What verifying found.

    `right` blobs and parts of `size` bytes, of which `parts` are parts without the others: they are
    as `volume.json` says, which nobody has signed; `damaged` and `missing` ones; `volumes` are the
    numbers of those that were not given, of `count`; `wrong` is what else is not as it was made.
    """

    right: int = 0
    size: int = 0
    damaged: list[Damage] = field(default_factory=list)
    missing: list[Damage] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    volumes: list[int] = field(default_factory=list)
    number: int = 0
    count: int = 0
    parts: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything was right; of a volume that was given alone, everything in it."""
        is_all_here = bool(self.number) or not self.volumes
        return is_all_here and not (self.damaged or self.missing or self.wrong)


def verify(opened: Opened, tell: Callable[[int], None] = lambda _: None) -> Verdict:
    """Read every byte, telling how many after each piece.

    A volume alone is verified alone: its whole blobs by their digests, parts of others by theirs.
    """
    return _Verification(opened, tell).run()


class _Verification:
    def __init__(self, opened: Opened, tell: Callable[[int], None]) -> None:
        self._opened = opened
        self._tell = tell
        self._verdict = Verdict()
        self._seen: set[Digest] = set()
        self._manifests: dict[Digest, Manifest] = {}

    def run(self) -> Verdict:
        opened, verdict, source = self._opened, self._verdict, self._opened.source
        try:
            for member in opened.rest:
                self._read_blob(member)
            if isinstance(source, VolumeSource):
                self._read_parts(source)
        except BundleInvalid as error:
            verdict.wrong.append(str(error))
        verdict.wrong[:0] = source.flaws.told
        if not verdict.number:
            verdict.missing = [
                Damage(digest, format_blob_name(digest), source.label)
                for digest, _ in opened.lock.blobs
                if digest not in self._seen
            ]
        for digest, lies in find_contradictions(opened.lock, self._manifests).items():
            verdict.wrong += [f"manifest {digest}: {why}" for why in lies[:10]]
        verdict.wrong += [
            f"{name} is not as it was made" for name in opened.find_lies(self._manifests)
        ]
        parents = map_parents(self._manifests)
        for found in (verdict.damaged, verdict.missing):
            found[:MAX_USERS] = [
                replace(each, images=tuple(list_users(opened.lock, parents, each.digest)))
                for each in found[:MAX_USERS]
            ]
        return verdict

    def _read_blob(self, member: Member) -> None:
        digest = read_blob_name(member.name)
        kind = self._opened.lock.manifests.get(digest)
        raw = self._hash(self._opened.source, member, digest, is_kept=kind is not None)
        self._seen.add(digest)
        if raw is None:
            damage = Damage(digest, member.name, format_place(self._opened.source, member))
            self._verdict.damaged.append(damage)
        elif kind is not None:
            try:
                self._manifests[digest] = sketch(raw, kind, digest)
            except ManifestInvalid as error:
                self._verdict.wrong.append(f"manifest {digest}: {error.why}")

    def _read_parts(self, source: VolumeSource) -> None:
        verdict = self._verdict
        verdict.volumes, verdict.count = source.missing, source.count
        if len(source.numbers) == 1 and source.count > 1:
            (verdict.number,) = source.numbers
        verdict.parts = len(source.lone_parts)
        for each in source.lone_parts:
            digest = read_blob_name(each.member.name)
            self._seen.add(digest)
            if self._hash(each.source, each.member, each.part.digest, is_kept=False) is None:
                verdict.damaged.append(Damage(digest, each.member.name, each.source.label))
        if verdict.volumes:  # what is in those is not missing for any other reason
            self._seen |= self._opened.lock.sizes.keys()

    def _hash(
        self, source: BundleSource, member: Member, digest: Digest, *, is_kept: bool
    ) -> bytes | None:
        """Return the bytes, or none of them where they are not wanted; None when damaged."""
        hasher, kept = digest.hasher(), []
        try:
            for piece in source.read(member):
                hasher.update(piece)
                if is_kept:
                    kept.append(piece)
                self._tell(len(piece))
        except BundleInvalid as error:
            source.flaws.note(error)
            return None
        if hasher.hexdigest() != digest.encoded:
            return None
        self._verdict.right += 1
        self._verdict.size += member.size
        return b"".join(kept)
