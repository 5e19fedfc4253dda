"""What pulls are answered from."""

from dataclasses import dataclass

from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import TagsAndReferrers


@dataclass(frozen=True, slots=True)
class Mirror:
    """The open services of one worker process."""

    table: UpstreamTable
    manifests: Manifests
    blobs: Blobs
    lists: TagsAndReferrers
