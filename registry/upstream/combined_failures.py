"""One failure for those of several endpoints, and what it means for the next try. Pure."""

from collections.abc import Iterable, Sequence
from typing import TypeGuard

from registry.errors import Unknown, UpstreamDenied, UpstreamError, UpstreamUnreachable
from registry.upstream.backoff import LONGEST_WAIT
from registry.upstream.failures import EndpointSuspended, HeadRefused, NoConnection

# What clients may know of a failure, if other endpoints have answered.
PARTLY = "was reached at some of its endpoints only, and none of them has this"


def is_denied(failures: Sequence[Unknown | UpstreamError]) -> bool:
    """Whether an endpoint says "no", and the others have no connection: asking again is no use."""
    others = [each for each in failures if not isinstance(each, Unknown)]
    return len(others) < len(failures) and all(isinstance(each, NoConnection) for each in others)


def select_clear(failures: Sequence[Unknown | UpstreamError]) -> list[Unknown | UpstreamError]:
    """Return the failures that decide about content which most images do not have.

    A clear "no" is enough, unless an endpoint refused the HEAD: there a GET decides.
    """
    if not any(isinstance(each, Unknown) for each in failures):
        return list(failures)
    return [each for each in failures if isinstance(each, Unknown | HeadRefused)]


def combine(
    failures: Sequence[Unknown | UpstreamError], answers: Sequence[Unknown | UpstreamError] = ()
) -> Unknown | UpstreamError:
    """Return one failure to raise for several; its message names what each endpoint answered.

    `answers` are failures that decide nothing, and are only named: those of earlier rounds, and of
    endpoints that were not asked.

    The result is `Unknown` only if no failure is inconclusive. If an endpoint refused a HEAD, this
    is the result: a GET may be answered there.
    """
    inconclusive = [each for each in failures if is_inconclusive(each)]
    refused = [each for each in inconclusive if isinstance(each, HeadRefused)]
    failure = (refused or inconclusive or failures)[-1]
    if isinstance(failure, HeadRefused):
        others = [each for each in inconclusive if not isinstance(each, HeadRefused)]
        failure.unanswered = others[-1] if others else None
    known = [*answers, *failures]
    reasons = list_reasons(known)
    for each in (failure, failure.unanswered if isinstance(failure, HeadRefused) else None):
        if isinstance(each, UpstreamError) or (each and _has(known, UpstreamError)):
            each.add_answers(reasons)
        if isinstance(each, UpstreamUnreachable) and _has(known, Unknown):
            each.summary = PARTLY
    return failure


def _has(failures: Sequence[Unknown | UpstreamError], kind: type[Exception]) -> bool:
    return any(isinstance(each, kind) for each in failures)


def list_reasons(failures: Iterable[Unknown | UpstreamError]) -> dict[str, str]:
    """Return what each endpoint answered, by its address."""
    return {each.endpoint: _explain(each) for each in failures if each.endpoint}


def _explain(failure: Unknown | UpstreamError) -> str:
    if isinstance(failure, HeadRefused) and failure.is_missing:
        return Unknown.answer  # a GET follows, and decides
    return failure.answer if isinstance(failure, Unknown) else failure.why


def is_inconclusive(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamError]:
    """Whether the endpoint may have the content in spite of this failure."""
    return isinstance(failure, UpstreamError) and not isinstance(failure, UpstreamDenied)


def is_temporary(failure: Unknown | UpstreamError) -> TypeGuard[UpstreamUnreachable]:
    """Whether the same question may get another answer within seconds.

    This is false for a 429, a refusal and a faulty answer, for an open circuit breaker, and for an
    endpoint that asks for a longer wait.
    """
    return (
        isinstance(failure, UpstreamUnreachable)
        and not isinstance(failure, EndpointSuspended)
        and (failure.retry_after or 0.0) <= LONGEST_WAIT
    )
