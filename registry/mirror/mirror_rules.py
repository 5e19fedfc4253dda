"""Which images of an upstream may be mirrored, whoever asks (decision record 0041). Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registry.errors import NotMirrored
from registry.oci.names import Reference, Repository, Tag
from registry.oci.referrers_tags import is_referrers_tag
from registry.settings.image_patterns import WrittenPattern

MaySee = Callable[[str, str | None], bool]  # of a full name, and a tag if there is one


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """The patterns of one upstream; without `allow`, everything is allowed that is not denied.

    `setting` is the place of `allow` in the settings.
    """

    allow: Sequence[WrittenPattern]
    deny: Sequence[WrittenPattern]
    setting: str

    def find_refusal(self, repository: str, tag: str | None) -> str:
        """Return why a tag may not be mirrored, or a repository if `tag` is None; empty if it may.

        What denies comes first. About digests and lists, a pattern that allows some tags says yes,
        and one that denies some tags says nothing: what a tag leads to is pulled by digest.
        """
        for each in self.deny:
            if _matches(each, repository, tag, is_for_some=False):
                return f'{each.setting} has "{each.text}"'
        if self.allow and not any(_matches(each, repository, tag) for each in self.allow):
            return f"no pattern of {self.setting} matches it"
        return ""


class MirrorRules:
    """The patterns of all upstreams, for good: with other settings there are other rules."""

    def __init__(self, rules: Mapping[str, UpstreamRules]) -> None:
        """`rules` are by registry; a registry without rules is mirrored whole."""
        self._rules = dict(rules)

    def check(self, repository: Repository, reference: Reference | None = None) -> None:
        """Refuse what may not be mirrored; without a reference, a list of a repository is asked.

        Tags that are made from digests, for signatures, are not compared with tags of patterns.

        Raises:
            NotMirrored: the settings say so.
        """
        rules = self._rules.get(repository.registry)
        if rules is None:
            return
        is_named = isinstance(reference, Tag) and not is_referrers_tag(reference)
        tag = str(reference) if is_named else None
        if why := rules.find_refusal(str(repository), tag):
            raise NotMirrored(f"{repository}:{tag}" if tag else str(repository), why)

    def narrow(self, may_see: MaySee) -> MaySee:
        """Return a function for lists: what may be seen, and may be mirrored."""
        return lambda name, tag: may_see(name, tag) and self._allows(name, tag)

    def _allows(self, repository: str, tag: str | None) -> bool:
        rules = self._rules.get(repository.partition("/")[0])
        if rules is None:
            return True
        name = None if tag is None or is_referrers_tag(Tag(tag)) else tag
        return not rules.find_refusal(repository, name)


def _matches(
    each: WrittenPattern, repository: str, tag: str | None, *, is_for_some: bool = True
) -> bool:
    """Whether a pattern says something; `is_for_some`: of a repository if it names some tags."""
    if not each.pattern.matches(repository):
        return False
    if tag is None:
        return is_for_some or not each.pattern.has_tag
    return each.pattern.matches_tag(tag)
