"""What people change in the console: each action is first explained by a page, and then done.

GET shows what an action will do; only a POST with the form of that page does it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from registry.errors import EntrepotError, InvalidInput
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, parse_reference, parse_repository
from registry.oci.platforms import parse_platform
from registry.reports.console.images import split_name

VERBS = ("pin", "unpin", "remove", "fetch", "rollback", "release")
OF_TAGS = ("rollback", "release")
_LONGEST = 1000  # characters of a name


class Actions(Protocol):
    """Carries out actions (`mirror/operator_actions.py`)."""

    async def pin(self, repository: Repository, reference: Reference) -> None:
        """Keep an image."""

    async def unpin(self, repository: Repository, reference: Reference) -> None:
        """Stop keeping an image."""

    async def remove(self, repository: Repository, reference: Reference) -> int:
        """Remove an image; return how many bytes that freed."""

    async def roll_back(self, repository: Repository, tag: Tag, digest: Digest) -> None:
        """Let a tag serve another image."""

    async def release(self, repository: Repository, tag: Tag, digest: Digest | None) -> None:
        """Serve an image now, or end a rollback."""

    async def fetch(
        self, repository: Repository, reference: Reference, platforms: Sequence[str]
    ) -> bool:
        """Begin to download what is missing of an image."""


@dataclass(frozen=True, slots=True)
class Action:
    """What shall be done with an image. `digest` and `platform` are empty if not needed."""

    verb: str
    name: str
    repository: Repository
    reference: Reference
    digest: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action has done: the key of a text, and the bytes in it."""

    key: str
    freed: int = 0


def read_image(name: str) -> tuple[Repository, Reference]:
    """Read the name of an image, with its registry, and with a tag or a digest.

    Raises:
        InvalidInput: it is none.
    """
    repository, reference = split_name(name[:_LONGEST])
    return parse_repository(repository), parse_reference(reference)


def read_action(verb: str, name: str, digest: str, platform: str) -> Action:
    """Read what a page or a form asks for.

    Raises:
        InvalidInput: there is no such action, or the names in it are none.
    """
    if verb not in VERBS:
        raise InvalidInput(f"{verb[:40]!r} is no action")
    repository, reference = read_image(name)
    if verb in OF_TAGS and not isinstance(reference, Tag):
        raise InvalidInput(f"{name[:80]!r} has no tag")
    if verb == "rollback" or digest:
        digest = str(Digest.parse(digest))
    platform = parse_platform(platform) if platform else ""
    return Action(verb, name[:_LONGEST], repository, reference, digest, platform)


async def carry_out(action: Action, actions: Actions) -> Done:
    """Do what an action says, and return what to tell about it.

    Raises:
        EntrepotError: it could not be done.
    """
    repository, reference = action.repository, action.reference
    match action.verb, reference:
        case "pin", _:
            await actions.pin(repository, reference)
        case "unpin", _:
            await actions.unpin(repository, reference)
        case "remove", _:
            return Done("done.remove", await actions.remove(repository, reference))
        case "fetch", _:
            platforms = [action.platform] if action.platform else []
            has_begun = await actions.fetch(repository, reference, platforms)
            return Done("done.fetch" if has_begun else "done.busy")
        case "rollback", Tag() as tag:
            await actions.roll_back(repository, tag, Digest.parse(action.digest))
        case "release", Tag() as tag:
            digest = Digest.parse(action.digest) if action.digest else None
            await actions.release(repository, tag, digest)
        case _:
            raise EntrepotError(f"{action.verb} is not done")
    return Done(f"done.{action.verb}")
