"""Errors of access: who asks is not known, or an account does not exist."""

from collections.abc import Sequence

from registry.errors.root import EntrepotError
from registry.errors.unknown import BlobUnknown, ManifestUnknown, NameUnknown


class AccessDenied(EntrepotError):
    """It was not proved who asks. `challenge` is what the client has to answer; it may be empty."""

    challenge = ""

    def with_challenge(self, challenge: str) -> "AccessDenied":
        """Return a copy that asks the client to log in."""
        copy = self.copy()
        copy.challenge = challenge
        return copy


class LoginRequired(AccessDenied):
    """A client has sent no credentials where a login is needed."""

    def __init__(self) -> None:
        super().__init__("log in first")


class CredentialsWrong(AccessDenied):
    """Credentials that belong to no account, or no longer; nothing says which part is wrong."""

    def __init__(self) -> None:
        super().__init__("the name, password or token is wrong, or has expired")


class CredentialsInvalid(AccessDenied):
    """A header with credentials that cannot be read."""

    def __init__(self) -> None:
        super().__init__("the Authorization header is neither Basic nor Bearer, or is malformed")


class ScopeMissing(AccessDenied):
    """A token of `/token` that was made for another repository."""

    def __init__(self) -> None:
        super().__init__("this token was made for another repository")


class NotAllowed(AccessDenied):
    """Somebody may not do this; `rule` says so, and is empty if no rule allows it."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(f"not allowed by {rule}" if rule else "no rule allows it")


class NotMirrored(EntrepotError):
    """The settings of its upstream say that an image may not be mirrored, whoever asks.

    `rule` is what they say, in a few words.
    """

    def __init__(self, image: str, why: str, rule: str = "") -> None:
        self.image, self.why, self.rule = image, why, rule or why
        super().__init__(f"{image} may not be pulled through this mirror: {why}")


class TagTooNew(NotMirrored):
    """A tag that leads to an image which is not known here for long enough, and to no former one.

    `digest` is what the tag leads to, and `until` says when it is served, as people read it.
    """

    def __init__(self, image: str, digest: str, until: str, setting: str) -> None:
        self.digest, self.until = digest, until
        super().__init__(
            image,
            f"it is not known here for long enough ({setting}) and is served {until}; pull it by"
            f" its digest {digest}, or run: entrepot images release {image} {digest}",
            setting,
        )


class ManifestConcealed(ManifestUnknown):
    """What a client reads of a manifest that it does not get, for whatever reason."""

    def __init__(self, reason: EntrepotError) -> None:
        EntrepotError.__init__(self, str(reason))

    @property
    def public(self) -> str:
        """The same for every reason."""
        return "this manifest does not exist, or you may not pull it"


class BlobConcealed(BlobUnknown):
    """What a client reads of a blob that it does not get, for whatever reason."""

    def __init__(self, reason: EntrepotError) -> None:
        EntrepotError.__init__(self, str(reason))

    @property
    def public(self) -> str:
        """The same for every reason."""
        return "this blob does not exist, or you may not pull it"


class NameConcealed(NameUnknown):
    """What a client reads of a repository that it does not get, for whatever reason."""

    def __init__(self, reason: EntrepotError) -> None:
        EntrepotError.__init__(self, str(reason))

    @property
    def public(self) -> str:
        """The same for every reason."""
        return "this repository does not exist, or you may not pull from it"


class TooManyLogins(EntrepotError):
    """More passwords are to be checked than this machine can check at the moment."""

    def __init__(self) -> None:
        super().__init__("too many logins at once; try again in a few seconds")


class AccountUnknown(EntrepotError):
    """There is no user or token of this name."""

    def __init__(self, kind: str, name: str, others: Sequence[str] = ()) -> None:
        self.kind, self.name, self.others = kind, name, tuple(others)
        known = f"; there are: {', '.join(self.others[:10])}" if self.others else ""
        super().__init__(f"there is no {kind} named {name[:100]!r}{known}")


class AccountExists(EntrepotError):
    """A user or token has this name already."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"there is a {kind} named {name!r} already: choose another name")
