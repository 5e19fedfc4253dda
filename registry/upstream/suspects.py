"""Which endpoints of an upstream may send wrong bytes, and what they get to do nevertheless."""

from collections.abc import Collection, Iterable, Sequence

from registry.logs import get_logger
from registry.upstream.endpoint import Endpoint
from registry.upstream.performance import SUSPECT_TIME

LATER = 1e-5  # seconds; of several that are marked at once, each is marked longer than the former


class Suspects:
    """The suspects among the endpoints of the upstream `name`.

    An endpoint is marked for ten minutes if it has sent a part of a blob that was wrong. If its own
    bytes are known to be wrong, it is suspect until it has sent enough right ones
    (`Performance.is_distrusted`). Other processes learn both as they learn measurements.

    Bytes of a suspect are not sent to clients before the digest was right, unless it is the only
    endpoint. With `needs_proof`, so
    it is for an endpoint that has not sent right bytes yet. Of all that are marked, those in
    `trusted` are asked first. They need no proof unless their own bytes are known to be wrong.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        *,
        needs_proof: bool = False,
        trusted: Collection[Endpoint] = (),
    ) -> None:
        self._name = name
        self._endpoints = endpoints
        self._needs_proof = needs_proof
        self._trusted = frozenset(trusted)
        self._log = get_logger("registry.upstream")

    def mark(self, origins: Sequence[str]) -> None:
        """Mark endpoints that may have sent wrong bytes; the likeliest origin is last.

        The endpoint that was marked last is asked last. So if all endpoints are marked, another one
        is asked before the endpoint that sends wrong bytes.
        """
        for origin in origins:
            latest = max(map(self._find_suspicion, self._endpoints))
            for endpoint in self._find(origin):
                until = endpoint.measured.now() + SUSPECT_TIME
                endpoint.measured.note_suspect(max(until, latest + LATER))

    def acquit(self, origin: str) -> None:
        """Note that the bytes of an endpoint were right, so that it is not marked any more."""
        for endpoint in self._find(origin):
            if self._is_marked(endpoint):
                endpoint.measured.note_acquitted()

    def convict(self, origin: str, blob: str) -> None:
        """Note that an endpoint has sent wrong bytes of a blob, and name it in the log."""
        self.mark((origin,))
        for endpoint in self._find(origin):
            endpoint.measured.note_wrong()
        self._log.error(
            "endpoint sent wrong bytes", upstream=self._name, endpoint=origin, blob=blob
        )

    def _find(self, origin: str) -> list[Endpoint]:
        return [each for each in self._endpoints if each.origin == origin]

    def is_suspect(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint may send wrong bytes."""
        return self._is_marked(endpoint) or endpoint.measured.performance.is_distrusted

    def list_due(self) -> list[Endpoint]:
        """Return the endpoints that may show now that they send right bytes; longest due first.

        There is none if all are suspect: then they are asked anyway.
        """
        if all(map(self.is_suspect, self._endpoints)):
            return []
        known = {each: each.measured.performance for each in self._endpoints}
        due = [each for each in known if known[each].is_trial_due(each.measured.now())]
        return sorted(due, key=lambda each: known[each].suspected_until)

    def _is_marked(self, endpoint: Endpoint) -> bool:
        return self._find_suspicion(endpoint) > 0.0

    def _find_suspicion(self, endpoint: Endpoint) -> float:
        return endpoint.measured.performance.find_suspicion(endpoint.measured.now())

    def rank(self, endpoint: Endpoint) -> tuple[bool, bool, float]:
        """Return by what endpoints are ordered: suspects are last, and the likeliest one of all."""
        suspicion = self._find_suspicion(endpoint)
        is_accused = suspicion > 0.0 and endpoint not in self._trusted
        return endpoint.measured.performance.is_distrusted, is_accused, suspicion

    def are_proven(self, origins: Iterable[str]) -> bool:
        """Whether bytes of these endpoints may be sent to clients before the digest was right."""
        if len(self._endpoints) < 2 and not self._needs_proof:
            return True
        proven = {each.origin for each in self._endpoints if self._is_proven(each)}
        unproven = {each.origin for each in self._endpoints} - proven
        if self._needs_proof:
            unproven.add("")  # nobody knows who has sent these bytes
        return unproven.isdisjoint(origins)

    def _is_proven(self, endpoint: Endpoint) -> bool:
        known = endpoint.measured.performance
        is_accused = self._is_marked(endpoint) and endpoint not in self._trusted
        # Without another endpoint, clients would only wait for the same bytes.
        if len(self._endpoints) > 1 and (known.is_distrusted or is_accused):
            return False
        return not self._needs_proof or known.right > 0

    def list_last_resort(self) -> list[Endpoint]:
        """Return whose bytes may be sent at once although nobody is proven.

        These are only marked: perhaps another endpoint has sent the wrong bytes. There is none if
        an endpoint is proven.
        """
        if any(map(self._is_proven, self._endpoints)):
            return []
        known = [each for each in self._endpoints if not each.measured.performance.is_distrusted]
        return [
            each for each in known if not self._needs_proof or each.measured.performance.right > 0
        ]

    def choose_senders(
        self, able: Sequence[Endpoint], failed: Collection[Endpoint]
    ) -> Sequence[Endpoint]:
        """Return which of the endpoints in `able` send ranges of one blob, best first.

        Suspects send none. If there is nobody else, one of them sends the whole blob alone, so that
        the digest says whether its bytes are wrong. Those in `failed` do not count as others.
        """
        if len(able) < 2:
            return able
        others = [each for each in able if not self.is_suspect(each)]
        if not set(others).issubset(failed):
            return others
        return [each for each in able if each not in failed][:1] or able
