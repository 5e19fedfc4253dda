"""Who is let through, if `access.mode` is "users" (decision record 0040)."""

from dataclasses import dataclass
from functools import partial

from aiohttp import web

from registry.access.challenges import Asked, Challenges
from registry.access.control import AccessControl, Stamp
from registry.access.credentials import parse_authorization
from registry.access.principals import Principal
from registry.access.records import WRONG
from registry.access.rules import Rules
from registry.access.surroundings import Surroundings
from registry.api.forwarding import FindCaller
from registry.api.middleware import Notes
from registry.api.paths import Endpoint, PullRequest
from registry.api.token_endpoint import answer_token
from registry.errors import (
    AccessDenied,
    BlobConcealed,
    EntrepotError,
    LoginRequired,
    ManifestConcealed,
    NameConcealed,
    NotAllowed,
    ScopeMissing,
    Unknown,
    UpstreamDenied,
    UpstreamOffline,
)
from registry.mirror.mirror_rules import MaySee
from registry.mirror.routing import UpstreamTable
from registry.oci.names import Tag

BASIC = 'Basic realm="entrepot"'  # RFC 7617 section 2


@dataclass(frozen=True, slots=True)
class Admitted:
    """A client that is let through, and what it may see of lists.

    `may_see` gets the full name of a repository, and a tag or None.
    """

    principal: Principal
    may_see: MaySee


class Admission:
    """Identifies who asks, and asks the rules, before anything is looked up."""

    def __init__(self, control: AccessControl, rules: Rules, challenges: Challenges) -> None:
        self._control = control
        self._rules = rules
        self._challenges = challenges

    async def admit(self, request: web.BaseRequest, notes: Notes, wanted: PullRequest) -> Admitted:
        """Return who asks, if what is wanted is allowed.

        Raises:
            AccessDenied: it was not proved who asks, or a login is needed; with a challenge, if
                this request may get one.
            NotAllowed: the rules do not allow it; see `conceal`.
            TooManyLogins: too many passwords are to be checked.
        """
        has_path = bool(notes.path_token or wanted.prefix)
        asked = Asked(notes.host, has_path=has_path, namespace=notes.ns, has_tls=notes.has_tls)
        may_ask = self._challenges.may_ask(asked)
        try:
            admitted = await self._identify(request, notes)
        except AccessDenied as wrong:
            _note_wrong(notes)
            raise self._add_challenge(wrong, asked, wanted) if may_ask else wrong from None
        refusal = self._find_refusal(admitted.principal, notes, wanted)
        if may_ask and isinstance(refusal, LoginRequired | ScopeMissing):
            raise self._add_challenge(refusal, asked, wanted)
        if refusal is not None and wanted.repository is not None:
            notes.is_refused = True
            raise NotAllowed(notes.rule)
        return admitted

    async def _identify(self, request: web.BaseRequest, notes: Notes) -> Admitted:
        surroundings = notes.find_surroundings(request)
        credentials = parse_authorization(request.headers.getall("Authorization", ()))
        principal = await self._control.identify(credentials, notes.path_token, surroundings)
        notes.user, notes.proof = principal.name, principal.proof.value
        notes.may_go_on = self._control.follow(principal)
        stamp = self._control.stamp(principal, surroundings)
        notes.find_caller = partial(self._find_caller, stamp, notes.find_caller)
        return Admitted(principal, partial(self._may_see, principal))

    def _find_caller(
        self, stamp: Stamp, find: FindCaller, connection: Surroundings
    ) -> Surroundings | None:
        """Return the client if the same bytes still mean the same user; `find` knows proxies."""
        client = find(connection)
        return client if client and self._control.is_valid(stamp, client) else None

    def _find_refusal(
        self, principal: Principal, notes: Notes, wanted: PullRequest
    ) -> AccessDenied | None:
        """Return why what is wanted is not allowed; None if it is, or is wrong for another reason.

        A ping needs a login too, although it tells nothing: docker logs in only where the ping asks
        for it. A token of `/token` is enough, also one for nobody.
        """
        repository = wanted.repository
        if repository is None:
            is_new = principal.is_anonymous and principal.repositories is None
            return LoginRequired() if is_new else None
        if principal.repositories is not None and str(repository) not in principal.repositories:
            return ScopeMissing()
        tag = wanted.reference.name if isinstance(wanted.reference, Tag) else None
        decision = self._rules.decide(principal, str(repository), tag)
        notes.rule = decision.rule
        if decision.is_allowed:
            return None
        return LoginRequired() if principal.is_anonymous else NotAllowed(decision.rule)

    def takes_logins(self, host: str) -> bool:
        """Whether clients of this host may ask for a token of `/token`."""
        return self._challenges.may_ask(Asked(host))

    async def answer_token(
        self, request: web.BaseRequest, notes: Notes, table: UpstreamTable
    ) -> web.Response:
        """Answer a request for a token (`api/token_endpoint.py`).

        Raises:
            AccessDenied: the name or password is wrong.
            TooManyLogins: too many passwords are to be checked.
        """
        try:
            return await answer_token(request, notes, self._control, table)
        except AccessDenied as wrong:
            _note_wrong(notes)
            raise wrong.with_challenge(BASIC) from None

    def _may_see(self, principal: Principal, repository: str, tag: str | None = None) -> bool:
        if principal.repositories is not None and repository not in principal.repositories:
            return False
        return self._rules.decide(principal, repository, tag).is_allowed

    def _add_challenge(
        self, denied: AccessDenied, asked: Asked, wanted: PullRequest
    ) -> AccessDenied:
        error = "insufficient_scope" if isinstance(denied, ScopeMissing) else ""
        # A name outside of the grammar could have quotes, and so further parameters.
        name = "" if wanted.repository is None else wanted.name
        return denied.with_challenge(self._challenges.write(asked, name, error))


def _note_wrong(notes: Notes) -> None:
    notes.proof, notes.is_refused = WRONG, True


def conceal(error: EntrepotError, endpoint: Endpoint | None) -> Unknown:
    """Return the one error by which a client learns that it gets nothing, for whatever reason."""
    match endpoint:
        case Endpoint.MANIFEST:
            return ManifestConcealed(error)
        case Endpoint.BLOB:
            return BlobConcealed(error)
        case _:
            return NameConcealed(error)


CONCEALED = (NotAllowed, Unknown, UpstreamDenied, UpstreamOffline)  # all get the same answer
