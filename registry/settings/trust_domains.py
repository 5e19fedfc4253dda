"""Whose bytes a registry may have without having delivered them (decision record 0030). Pure."""

from collections.abc import Mapping

from registry.settings.upstreams import UpstreamSettings


def find_trusted(upstreams: Mapping[str, UpstreamSettings]) -> Mapping[str, frozenset[str]]:
    """Return, for each upstream, the registries whose bytes it may have: its own, and public ones.

    Public are all upstreams without a user name. If there is no other, the result is empty: then
    all bytes are public, and nothing has to be checked.
    """
    public = frozenset(name for name, each in upstreams.items() if not each.username)
    if len(public) == len(upstreams):
        return {}
    return {name: public | {name} for name in upstreams}
