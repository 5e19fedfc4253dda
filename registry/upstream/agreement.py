"""Asking all endpoints of an upstream at once what a tag means, until two of them agree."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any, NoReturn

from registry.errors import Unknown, UpstreamError
from registry.oci.digest import Digest
from registry.upstream.combined_failures import combine
from registry.upstream.contract import TagAnswer
from registry.upstream.endpoint import Endpoint
from registry.upstream.tag_policy import (
    Statement,
    explain_undecided,
    find_agreed,
    find_decisive,
    list_others,
)

OTHERS_WAIT = 2.0  # seconds for the others, after a trusted endpoint has said what the tag means
Asking = Callable[[Endpoint], Coroutine[Any, Any, TagAnswer]]


async def find_agreement(
    name: str, endpoints: Sequence[Endpoint], trusted: Collection[Endpoint], ask: Asking
) -> TagAnswer:
    """Return the digest that two endpoints of the upstream `name` say; see `Source.resolve_tag`.

    The others are not waited for then. If no two agree, a trusted endpoint decides.
    """
    survey = _Survey(name, endpoints, trusted)
    running = {asyncio.create_task(ask(each)): each for each in endpoints}
    clock, until = asyncio.get_running_loop().time, None
    try:
        waiting = set(running)
        while waiting and survey.agreed is None:
            if until is None and survey.has_decisive:
                until = clock() + OTHERS_WAIT  # for all of them together
            left = None if until is None else max(0.0, until - clock())
            done, waiting = await asyncio.wait(
                waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            for task in done:
                survey.note(running[task], task)
        return survey.conclude()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Survey:
    """What the endpoints have said until now about one tag."""

    def __init__(
        self, name: str, endpoints: Sequence[Endpoint], trusted: Collection[Endpoint]
    ) -> None:
        self._name = name
        self._endpoints = endpoints
        self._trusted = trusted
        self._answers: dict[Endpoint, TagAnswer] = {}
        self._failures: dict[Endpoint, Unknown | UpstreamError] = {}

    @property
    def agreed(self) -> Digest | None:
        """The digest that two of them say, if there is one."""
        return find_agreed(self._list_statements())

    @property
    def has_decisive(self) -> bool:
        """Whether a trusted endpoint has said what the tag means."""
        decisive = find_decisive(self._list_statements())
        return decisive is not None and decisive.digest is not None

    def note(self, endpoint: Endpoint, task: asyncio.Task[TagAnswer]) -> None:
        """Note the answer or the failure of an endpoint."""
        try:
            self._answers[endpoint] = task.result()
        except (Unknown, UpstreamError) as error:
            self._failures[endpoint] = error

    def conclude(self) -> TagAnswer:
        """Return the answer that counts, or raise why none does."""
        statements = self._list_statements()
        digest = find_agreed(statements)
        if digest is None:
            decisive = find_decisive(statements)
            if decisive is None or decisive.digest is None:
                self._refuse(statements, is_decided=decisive is not None)
            digest = decisive.digest
        said = [each for each in self._answers.values() if each.digest == digest]
        return TagAnswer(
            digest,
            said[0].endpoint,
            any(each.is_trusted for each in said),
            list_others(statements, digest),
            next((each.manifest for each in said if each.manifest is not None), None),
        )

    def _refuse(self, statements: Sequence[Statement], *, is_decided: bool) -> NoReturn:
        """Raise why there is no answer; if it `is_decided`, the tag does not exist."""
        failures = self._failures
        if is_decided:
            raise next(
                error
                for endpoint, error in failures.items()
                if endpoint in self._trusted and isinstance(error, Unknown)
            )
        if self._answers:
            reasons = {
                endpoint.origin: error.answer if isinstance(error, Unknown) else error.why
                for endpoint, error in failures.items()
            }
            raise explain_undecided(self._name, statements, reasons)
        raise combine(list(failures.values()))

    def _list_statements(self) -> list[Statement]:
        """Return what was said, in the order of the settings."""
        found = []
        for each in self._endpoints:
            answer = self._answers.get(each)
            if answer is not None or isinstance(self._failures.get(each), Unknown):
                digest = answer.digest if answer is not None else None
                found.append(Statement(each.origin, digest, each in self._trusted))
        return found
