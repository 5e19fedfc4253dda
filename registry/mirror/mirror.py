"""The object that answers pulls."""

from dataclasses import dataclass

from registry.content.client_visits import ClientVisits
from registry.mirror.blobs import Blobs
from registry.mirror.circles import Circles
from registry.mirror.manifests import Manifests
from registry.mirror.mirror_rules import MirrorRules
from registry.mirror.repository_list import RepositoryList
from registry.mirror.routing import UpstreamTable
from registry.mirror.tags_and_referrers import TagsAndReferrers
from registry.upstream.via import ViaWriter


@dataclass(frozen=True, slots=True)
class Mirror:
    """`table` finds the repository of a request; the others find manifests, blobs and lists.

    `via` refuses requests that this mirror has sent itself, and `circles` those of a mirror for
    which this one waits. `rules` say what may be mirrored, `visits` who has asked.
    """

    table: UpstreamTable
    via: ViaWriter
    circles: Circles
    rules: MirrorRules
    manifests: Manifests
    blobs: Blobs
    lists: TagsAndReferrers
    repositories: RepositoryList
    visits: ClientVisits
