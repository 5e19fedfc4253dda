"""What pulls are answered from."""

from dataclasses import dataclass

from registry.mirror.blobs import Blobs
from registry.mirror.manifests import Manifests
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import TagsAndReferrers


@dataclass(frozen=True, slots=True)
class Mirror:
    """`table` names the upstream of a request; the others find what was asked for."""

    table: UpstreamTable
    manifests: Manifests
    blobs: Blobs
    lists: TagsAndReferrers
