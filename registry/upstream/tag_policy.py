"""Who may say what a tag means: which endpoints are asked, and whose answer counts. Pure.

Decision record 0033 has the reasons.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from registry.errors import (
    TagDisputed,
    TagUnconfirmed,
    UpstreamDenied,
    UpstreamError,
    UpstreamLoop,
)
from registry.oci.digest import Digest
from registry.settings.upstreams import Names

E = TypeVar("E")  # an endpoint


@dataclass(frozen=True, slots=True)
class TagPolicy(Generic[E]):
    """The setting `names` of an upstream, and those of its `endpoints` that are `trusted`."""

    names: Names = "first"
    endpoints: tuple[E, ...] = ()
    trusted: frozenset[E] = frozenset()

    @property
    def not_asked(self) -> frozenset[E]:
        """The endpoints that are not asked what a tag means, and for no list.

        If none of the endpoints is trusted, all of them stand for the registry.
        """
        if self.names != "trusted" or not self.trusted:
            return frozenset()
        return frozenset(self.endpoints) - self.trusted

    @property
    def spared(self) -> frozenset[E]:
        """The endpoints that are asked last for a manifest by digest, since it counts as a pull.

        They have said what the tag means. Another endpoint can send the bytes, which are verified.
        """
        return self.trusted if self.not_asked else frozenset()


@dataclass(frozen=True, slots=True)
class Statement:
    """What the endpoint at `origin` says about a tag; without a digest, it does not exist."""

    origin: str
    digest: Digest | None
    is_trusted: bool = False

    @property
    def host(self) -> str:
        """The host of the endpoint: two endpoints at one host are not independent."""
        return urlsplit(self.origin).hostname or ""


def find_agreed(statements: Sequence[Statement]) -> Digest | None:
    """Return the first digest that endpoints at two hosts say; None if there is none."""
    hosts: dict[Digest, set[str]] = {}
    for each in statements:
        if each.digest is not None:
            hosts.setdefault(each.digest, set()).add(each.host)
            if len(hosts[each.digest]) == 2:
                return each.digest
    return None


def find_decisive(statements: Iterable[Statement]) -> Statement | None:
    """Return the statement of a trusted endpoint, which decides if no two endpoints agree.

    If some trusted endpoints do not have the tag, one that has it counts.
    """
    trusted = [each for each in statements if each.is_trusted]
    return next((each for each in trusted if each.digest is not None), next(iter(trusted), None))


def list_others(statements: Iterable[Statement], digest: Digest) -> dict[str, Digest]:
    """Return the endpoints that say another digest, by origin.

    One that does not have the tag says nothing: many endpoints do not have everything.
    """
    return {
        each.origin: each.digest
        for each in statements
        if each.digest is not None and each.digest != digest
    }


def explain_undecided(
    name: str, statements: Sequence[Statement], reasons: Mapping[str, str]
) -> TagDisputed | TagUnconfirmed:
    """Return the error for a tag about which no two endpoints agree, and none decides.

    At least one of the statements has a digest. `reasons` says why other endpoints have said
    nothing, by origin.
    """
    said = {each.origin: str(each.digest) for each in statements if each.digest is not None}
    table = f'[upstreams."{name}"]'
    if len(set(said.values())) > 1:
        advice = f"pull by digest, or write in {table} which endpoint decides: trusted = [...]"
        return TagDisputed(name, said).advise(advice)
    origin, digest = next(iter(said.items()))
    error = TagUnconfirmed(origin, f"only this endpoint says {digest}")
    error.add_answers(reasons)
    advice = f'add an endpoint to {table}, or write names = "trusted" or "first" in it'
    return error.advise(advice)


@contextmanager
def advising(name: str, not_asked: Collection[object]) -> Iterator[None]:
    """Say in an error of the upstream `name` that some endpoints were not asked, if so.

    Raises:
        UpstreamError: the block has raised it.
    """
    try:
        yield
    except (UpstreamDenied, UpstreamLoop):
        raise  # the reason is not that the others were not asked
    except UpstreamError as error:
        if not not_asked:
            raise
        advice = (
            'only its trusted endpoints are asked what a tag means: names = "agree" or "first" in'
            f' [upstreams."{name}"] asks the others too'
        )
        raise error.advise(advice) from error
