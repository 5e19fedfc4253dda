"""Finds the handler of each request.

Requests are answered without aiohttp's `Application`, router and signals: `paths.py` reads the
paths, and each further layer would take time for every request (decision record 0012).
"""

import logging
from collections.abc import Callable

from aiohttp import web

from registry.access.shown_addresses import ShowAddress, show_whole
from registry.api import errors
from registry.api.access_log import cut_path
from registry.api.admission import CONCEALED, Admission, conceal
from registry.api.blobs import answer_blob
from registry.api.manifests import answer_manifest
from registry.api.middleware import Notes
from registry.api.paths import Endpoint, PullRequest, RequestReader
from registry.api.probes import Probes
from registry.api.tags_and_referrers import (
    answer_catalog,
    answer_referrers,
    answer_tags,
    see_all,
)
from registry.errors import ManifestUnknown
from registry.logs import get_logger, is_written
from registry.mirror.mirror import Mirror
from registry.mirror.mirror_rules import MaySee
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.oci.token_texts import refuse_tokens

# Answers what is no request of the API, if a person asks for it with a browser.
ShowPage = Callable[[web.BaseRequest, Notes], web.Response | None]


def show_nothing(_: web.BaseRequest, __: Notes) -> None:
    """Return None: there are no pages."""


class PullApi:
    """Answers requests of the pull API (distribution-spec, "Pull")."""

    def __init__(
        self,
        mirror: Mirror,
        admission: Admission | None = None,
        show_address: ShowAddress = show_whole,
        show_page: ShowPage = show_nothing,
        probes: Probes | None = None,
    ) -> None:
        """Without `admission`, everybody may pull everything; without `probes`, none is told of."""
        self._show_page = show_page
        self._probes = probes
        self._mirror = mirror
        self._admission = admission
        self._show_address = show_address
        self._reader = RequestReader(mirror.table)
        self._log = get_logger("registry.api").bind()
        # `entrepot serve` on a terminal shows what is being sent.
        self._is_watched = is_written(logging.DEBUG)

    async def answer(self, request: web.BaseRequest, notes: Notes) -> web.StreamResponse:
        """Answer one request.

        Raises:
            EntrepotError: the request cannot be answered; `api/errors.py` renders it.
        """
        refuse_tokens(notes.path)
        if "?" in request.raw_path:
            refuse_tokens(request.query_string)
        # Not for a repeated answer: it asks nobody, and a request in a loop gets no answer that
        # could be repeated.
        is_of_mirror = self._mirror.via.read(request.headers.getall("Via", ()))
        wanted = self._reader.read(notes.path, notes.ns, notes.host)
        notes.namespace = wanted.namespace
        notes.repository, notes.reference = wanted.shown_repository, wanted.shown_reference
        notes.probe = wanted.probe
        if request.method not in ("GET", "HEAD") or wanted.endpoint is Endpoint.UPLOAD:
            return errors.render_read_only()
        if wanted.endpoint is not None:
            notes.kind = wanted.endpoint.value
        elif (page := self._find_page(request, notes)) is not None:
            return page
        if self._admission is None:
            return await self._answer(request, notes, wanted, see_all, is_of_mirror=is_of_mirror)
        if wanted.endpoint is Endpoint.TOKEN and self._admission.takes_logins(notes.host):
            return await self._admission.answer_token(request, notes, self._mirror.table)
        try:
            admitted = await self._admission.admit(request, notes, wanted)
            may_see = admitted.may_see
            return await self._answer(request, notes, wanted, may_see, is_of_mirror=is_of_mirror)
        except CONCEALED as error:
            raise conceal(error, wanted.endpoint) from error

    def _find_page(self, request: web.BaseRequest, notes: Notes) -> web.Response | None:
        """Return the answer to what is no request of the API; None if there is none."""
        found = None if self._probes is None else self._probes.answer(notes.path)
        return self._show_page(request, notes) if found is None else found

    async def _answer(
        self,
        request: web.BaseRequest,
        notes: Notes,
        wanted: PullRequest,
        may_see: MaySee,
        *,
        is_of_mirror: bool,
    ) -> web.StreamResponse:
        """Answer a client that is let through; `is_of_mirror` says that it is another mirror."""
        if wanted.error is not None:
            raise wanted.error.copy()
        if wanted.endpoint in (None, Endpoint.TOKEN):
            return errors.render_no_endpoint()
        if self._is_watched:
            self._log.debug(
                "request began",
                client=self._show_address(notes.client),
                repository=notes.repository,
                path=cut_path(notes.path),
            )
        rules = self._mirror.rules
        if wanted.repository is not None:
            rules.check(wanted.repository, wanted.reference)
            if wanted.probe:  # no upstream is asked for it, also if nothing notes it
                raise ManifestUnknown(str(wanted.repository), str(wanted.reference))
        answer = self._dispatch(request, notes, wanted, may_see)
        if not is_of_mirror or wanted.repository is None:
            return await answer
        return await self._mirror.circles.watch(
            wanted.repository, answer, lambda: notes.begun is not None
        )

    async def _dispatch(
        self, request: web.BaseRequest, notes: Notes, wanted: PullRequest, may_see: MaySee
    ) -> web.StreamResponse:
        mirror = self._mirror
        match wanted.endpoint, wanted.repository, wanted.reference:
            case Endpoint.MANIFEST, Repository() as repository, (Tag() | Digest()) as reference:
                return await answer_manifest(
                    request, notes, mirror.manifests, repository, reference
                )
            case Endpoint.BLOB, Repository() as repository, Digest() as digest:
                return await answer_blob(request, notes, mirror.blobs, repository, digest)
            case Endpoint.REFERRERS, Repository() as repository, Digest() as digest:
                return await answer_referrers(request, notes, mirror.lists, repository, digest)
            case Endpoint.TAGS, Repository() as repository, _:
                return await answer_tags(
                    request, notes, mirror.lists, repository, mirror.rules.narrow(may_see)
                )
            case Endpoint.CATALOG, _, _:
                return await answer_catalog(
                    request, mirror.repositories, mirror.rules.narrow(may_see)
                )
            case _:
                # A ping. Only `Admission` may have asked for a login: dockerd would answer with the
                # user's password for Docker Hub.
                return web.Response(body=b"{}", headers={"Content-Type": media_types.JSON})
