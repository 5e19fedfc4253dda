"""Verifying a bundle: every byte is read, and all damage is reported."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from registry.bundle.format.tar import BlobMember, Member, format_blob_name
from registry.bundle.read.head import (
    Opened,
    find_contradictions,
    list_users,
    map_parents,
    parse_without_raw,
)
from registry.bundle.read.sources import BundleSource, CutPart, format_place
from registry.errors import BundleInvalid, ManifestInvalid
from registry.oci.digest import Digest
from registry.oci.manifest import Manifest

MAX_USERS = 100  # damaged blobs for which the images that need them are listed


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob or part of a blob that is damaged or missing; `name` is its file in the bundle.

    `place` is the path of the bundle or volume. `images` are the names of the images that need the
    blob, if their manifests could be read.
    """

    digest: Digest
    name: str
    place: str
    images: tuple[str, ...] = ()


@dataclass(slots=True)
class Verdict:
    """The result of verifying a bundle.

    `right` is the number of blobs and parts that agree with their digests, and `size` their bytes.
    `parts` of them are parts of blobs whose other parts were not given: only `volume.json` has the
    digests of parts, and the signature does not cover `volume.json`. `volumes` are the numbers
    of the volumes that were not given, of `count` in all. `number` is the number of the volume if
    only one was given. `wrong` are sentences about other damage.
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
        """Whether nothing is wrong or missing in the bundle, or in the only given volume."""
        is_all_here = bool(self.number) or not self.volumes
        return is_all_here and not (self.damaged or self.missing or self.wrong)


def verify(opened: Opened, report: Callable[[int], None] = lambda _: None) -> Verdict:
    """Read every byte of a bundle; call `report` with the size of each piece that was read.

    A single volume can be verified too: blobs by their digests, and parts of blobs by the digests
    in its `volume.json`.
    """
    return _Verification(opened, report).run()


class _Verification:
    def __init__(self, opened: Opened, report: Callable[[int], None]) -> None:
        self._opened = opened
        self._report = report
        self._verdict = Verdict()
        self._seen: set[Digest] = set()
        self._manifests: dict[Digest, Manifest] = {}

    def run(self) -> Verdict:
        opened, verdict, source = self._opened, self._verdict, self._opened.source
        try:
            for member in opened.blobs:
                self._read_blob(member)
            if source.count:
                self._read_volumes(source)
        except BundleInvalid as error:
            verdict.wrong.append(str(error))
        verdict.wrong = [*source.flaws.messages, *verdict.wrong]
        if not verdict.number:
            verdict.missing = [
                Damage(digest, format_blob_name(digest), source.label)
                for digest, _ in opened.lock.blobs
                if digest not in self._seen
            ]
        for digest, reasons in find_contradictions(opened.lock, self._manifests).items():
            verdict.wrong += [f"manifest {digest}: {why}" for why in reasons[:10]]
        verdict.wrong += opened.find_changed(self._manifests)
        parents = map_parents(self._manifests)
        for found in (verdict.damaged, verdict.missing):
            found[:MAX_USERS] = [
                replace(each, images=tuple(list_users(opened.lock, parents, each.digest)))
                for each in found[:MAX_USERS]
            ]
        return verdict

    def _read_blob(self, member: BlobMember) -> None:
        digest = member.digest
        kind = self._opened.lock.manifests.get(digest)
        raw = self._hash(self._opened.source, member, digest, is_kept=kind is not None)
        self._seen.add(digest)
        if raw is None:
            self._verdict.damaged += self._find_damage(member)
        elif kind is not None:
            try:
                self._manifests[digest] = parse_without_raw(raw, kind, digest)
            except ManifestInvalid as error:
                self._verdict.wrong.append(f"manifest {digest}: {error.why}")

    def _find_damage(self, member: BlobMember) -> list[Damage]:
        """Return where a damaged blob is wrong: of a cut blob, only in some of its volumes."""
        source = self._opened.source
        parts = source.parts.get(member.digest, ())
        wrong = [each for each in parts if not _is_right(each)]
        return [Damage(member.digest, each.member.name, each.source.label) for each in wrong] or [
            Damage(member.digest, member.name, format_place(source, member))
        ]

    def _read_volumes(self, source: BundleSource) -> None:
        """Verify the parts of blobs that are not complete, and note which volumes are missing."""
        verdict = self._verdict
        verdict.volumes, verdict.count = list(source.missing), source.count
        if source.count - len(source.missing) == 1 < source.count:
            (verdict.number,) = {*range(1, source.count + 1)} - {*source.missing}
        alone = [
            each
            for digest, parts in source.parts.items()
            if digest not in self._seen
            for each in parts
        ]
        for each in alone:
            digest = each.member.digest
            self._seen.add(digest)
            if self._hash(each.source, each.member, each.part.digest, is_kept=False) is None:
                verdict.damaged.append(Damage(digest, each.member.name, each.source.label))
            else:
                verdict.parts += 1
        if verdict.volumes:  # unread blobs may be in the missing volumes
            self._seen |= self._opened.lock.sizes.keys()

    def _hash(
        self, source: BundleSource, member: Member, digest: Digest, *, is_kept: bool
    ) -> bytes | None:
        """Verify a file; return its bytes (none unless `is_kept`), or None if it is damaged."""
        hasher, kept = digest.hasher(), []
        try:
            for piece in source.read(member):
                hasher.update(piece)
                if is_kept:
                    kept.append(piece)
                self._report(len(piece))
        except BundleInvalid as error:
            source.flaws.note(error)
            return None
        if hasher.hexdigest() != digest.encoded:
            return None
        self._verdict.right += 1
        self._verdict.size += member.size
        return b"".join(kept)


def _is_right(part: CutPart) -> bool:
    """Whether the bytes of a part have the digest that its `volume.json` states."""
    hasher = part.part.digest.hasher()
    try:
        for piece in part.source.read(part.member):
            hasher.update(piece)
    except BundleInvalid:  # it was noted when the blob was read
        return False
    return hasher.hexdigest() == part.part.digest.encoded
