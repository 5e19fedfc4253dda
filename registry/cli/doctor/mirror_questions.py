"""Asking a mirror as a client would, and which clients have asked it for a probe.

No proxy is used, whatever the environment says: what is asked is whether the mirror is reached.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from registry.clients.mirror import Mirror
from registry.reports.doctor.clients import MirrorAnswer

_LARGEST = 64 * 1024  # bytes of an answer
_NOBODY = "0" * 32  # the number of a probe that nobody asks for
_ENDS = frozenset({18, 19, 20, 21})  # of OpenSSL: nobody known has signed the certificate
# What an error means, in one word; the first that fits counts.
_PROBLEMS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "plain"),
    (socket.gaierror, "name"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timeout"),
    (http.client.HTTPException, "other"),
    (ValueError, "other"),
    (OSError, "unreachable"),
)
_MARK = "docker-distribution-api-version"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MirrorQuestions:
    """Asks a mirror, which has `seconds` for each answer.

    `authorities` are certificates (PEM) that count beside those of the system. Without `verifies`,
    any certificate counts, as for the mirror of this machine itself.
    """

    mirror: Mirror
    seconds: float
    authorities: str = ""
    verifies: bool = True

    def ask(self) -> MirrorAnswer:
        """Return what comes of asking for `/v2/`."""
        try:
            answer = self._get("/v2/")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return MirrorAnswer(_name_problem(error), str(error) or type(error).__name__)
        server = answer.headers.get("server", "")
        text = answer.body.decode(errors="replace")
        if answer.status == http.client.BAD_REQUEST and self.mirror.is_plain and "TLS" in text:
            return MirrorAnswer("tls", "it answers 400 to a request without TLS")
        if not _is_registry(answer):
            return MirrorAnswer("other", f"status {answer.status}, Server: {server or 'not named'}")
        tells = self.find_requests(_NOBODY) is not None
        return MirrorAnswer("", "", answer.status, server, tells)

    def find_requests(self, nonce: str) -> Sequence[Mapping[str, Any]] | None:
        """Return which clients have asked for a probe; None if the mirror does not say it."""
        try:
            answer = self._get(f"/probes/{nonce}")
            found = json.loads(answer.body)["requests"] if answer.status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            return None
        return found

    def _get(self, path: str) -> _Answer:
        parts = urlsplit(self.mirror.url)
        host = parts.hostname or ""
        if self.mirror.is_plain:
            connection = http.client.HTTPConnection(host, parts.port, timeout=self.seconds)
        else:
            connection = http.client.HTTPSConnection(
                host, parts.port, timeout=self.seconds, context=self._make_context()
            )
        try:
            connection.request("GET", path, headers={"User-Agent": "entrepot-doctor"})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return _Answer(response.status, headers, response.read(_LARGEST))
        finally:
            connection.close()

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for known in (self.mirror.ca, self.authorities):
            if known:
                context.load_verify_locations(cadata=known)
        if not self.verifies:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _is_registry(answer: _Answer) -> bool:
    """Whether an answer to `/v2/` is that of a registry (distribution-spec, "Determining Support").

    Some leave out the header of the API.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status == http.client.OK:
        return _MARK in answer.headers or kind == "application/json"
    is_login = answer.status == http.client.UNAUTHORIZED and "www-authenticate" in answer.headers
    return _MARK in answer.headers or is_login


def _name_problem(error: Exception) -> str:
    """Return in one word why a mirror did not answer (see `MirrorAnswer`)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "unknown" if error.verify_code in _ENDS else "certificate"
    return next(word for kind, word in _PROBLEMS if isinstance(error, kind))
