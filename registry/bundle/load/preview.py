"""What an import would store: the blobs of a bundle, without writing them.

The headers of all files are read, and the bytes of the manifests. The bytes of layers are not read,
so that their damage is not found: `bundle verify` finds it.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from registry.bundle.format.tar import BlobMember, Member
from registry.bundle.load.blobs import Waiting
from registry.bundle.load.result import Imported
from registry.bundle.load.views import OfferedView
from registry.bundle.read.head import Opened
from registry.bundle.read.sources import BundleSource, CutPart, format_place, read_small
from registry.content.content import Content
from registry.errors import BundleInvalid
from registry.oci.byte_ranges import Span
from registry.oci.digest import Digest
from registry.store.sparse import find_gaps, join_spans


async def preview_blobs(
    opened: Opened, content: Content, stored: AbstractSet[Digest], result: Imported
) -> OfferedView:
    """Return what would be stored after an import, and note in the result what would be new.

    `stored` are the blobs of the bundle that are stored already.
    """
    preview = _Preview(opened, content, stored, result)
    try:
        preview.read_blobs()
    except BundleInvalid as error:
        result.flaws.append(str(error))
    for digest, parts in opened.source.parts.items():
        preview.read_parts(digest, parts)
    return OfferedView(content, preview.sizes, preview.manifests)


class _Preview:
    def __init__(
        self, opened: Opened, content: Content, stored: AbstractSet[Digest], result: Imported
    ) -> None:
        self._opened = opened
        self._content = content
        self._stored = stored
        self._result = result
        self.sizes: dict[Digest, int] = {}
        self.manifests: dict[Digest, bytes] = {}

    def read_blobs(self) -> None:
        """Read the headers of all blobs, and the bytes of the manifests that are not stored.

        Raises:
            BundleInvalid: too many things in the bundle are wrong.
        """
        blobs = self._result.blobs
        for member in self._opened.blobs:
            digest = member.digest
            if digest in self._opened.source.parts:
                continue
            if digest in self._stored:
                blobs.known += member.size
            elif self._is_right(member):
                kept = min(member.size, self._content.ingests.measure(digest))
                blobs.new += member.size - kept
                blobs.known += kept
                self.sizes[digest] = member.size
            else:
                place = format_place(self._opened.source, member)
                blobs.damaged[digest] = f"{member.name} in {place}"

    def _is_right(self, member: BlobMember) -> bool:
        """Whether a manifest has the right digest, and any other blob all its bytes."""
        digest, source = member.digest, self._opened.source
        try:
            if digest not in self._opened.lock.manifests:
                return _is_whole(source, member)
            raw = read_small(source, member)
        except BundleInvalid as error:
            source.flaws.note(error)
            return False
        is_right = digest.matches(raw)
        if is_right:
            self.manifests[digest] = raw
        return is_right

    def read_parts(self, digest: Digest, parts: Sequence[CutPart]) -> None:
        """Note how many bytes the parts of a blob would add, and how many are missing then."""
        blobs, whole = self._result.blobs, parts[0].part.whole
        right = [each for each in parts if _is_whole(each.source, each.member)]
        for each in parts:
            if each not in right:
                blobs.damaged[digest] = f"{each.member.name} in {each.source.label}"
        given = [Span(each.part.start, each.part.start + each.part.size) for each in right]
        size = sum(each.length for each in given)
        if digest in self._stored:
            blobs.known += size
            return
        kept = self._content.ingests.list_kept_parts(digest, whole)
        new = sum(gap.length for each in join_spans(given) for gap in find_gaps(each, kept))
        blobs.new += new
        blobs.known += size - new
        left = sum(each.length for each in find_gaps(Span(0, whole), join_spans([*kept, *given])))
        if left:
            blobs.waiting.append(Waiting(digest, left, whole))
        else:
            self.sizes[digest] = whole


def _is_whole(source: BundleSource, member: Member) -> bool:
    """Whether a bundle has all bytes of a member; the bytes themselves are not checked.

    Raises:
        BundleInvalid: the bundle is a stream, which has to be read, and ends early.
    """
    places = source.locate(member)
    if not places:
        return all(source.read(member))
    return all(each.offset + each.size <= each.path.stat().st_size for each in places)
