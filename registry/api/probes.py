"""The probes of `entrepot doctor`: which client has asked for them, and with which result.

A client pulls a tag that no registry has (`oci/probe_tags.py`), and then the doctor asks
`GET /probes/<number>` who has asked for it. No upstream is asked for either. Only who has made the
number knows it, so that this needs no login (decision record 0053).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from registry.access.shown_addresses import ShowAddress
from registry.api.middleware import Notes
from registry.errors import (
    AccessDenied,
    EntrepotError,
    ManifestUnknown,
    NameUnknown,
    NotAllowed,
    NotMirrored,
)
from registry.oci import media_types
from registry.oci.probe_tags import is_nonce
from registry.oci.token_texts import mask_tokens

_QUESTION = re.compile(r"/probes/([0-9a-f]+)")
_LONGEST = 200  # characters of what a client says of itself

ProbeRequest = Mapping[str, Any]


class ProbeLog(Protocol):
    """What all workers of a server remember of probes; its size is limited."""

    def note(self, nonce: str, request: ProbeRequest) -> None:
        """Note a request for a probe; older ones make room for it."""

    def find(self, nonce: str) -> Sequence[ProbeRequest]:
        """Return the requests for a probe that are remembered, the first one first."""


class Probes:
    """Notes requests for probes, and answers who has sent them."""

    def __init__(self, log: ProbeLog, show_address: ShowAddress) -> None:
        self._log = log
        self._show_address = show_address

    def note(self, request: web.BaseRequest, notes: Notes, error: EntrepotError) -> None:
        """Note a request for a probe, which has got this error."""
        agent = mask_tokens(request.headers.get("User-Agent", ""))
        self._log.note(
            notes.probe,
            {
                "client": self._show_address(notes.client) or "",
                "agent": agent[:_LONGEST],
                "user": notes.user,
                "repository": notes.repository[:_LONGEST],
                "refused": describe_refusal(error),
            },
        )

    def answer(self, path: str) -> web.Response | None:
        """Return the answer to a question about a probe; None if this is the path of none."""
        found = _QUESTION.fullmatch(path)
        if found is None or not is_nonce(found[1]):
            return None
        body = json.dumps({"requests": list(self._log.find(found[1]))}).encode()
        headers = {"Content-Type": media_types.JSON, "Cache-Control": "no-store"}
        return web.Response(body=body, headers=headers)


def describe_refusal(error: EntrepotError) -> str:
    """Return why any other tag would be refused too, in one word; empty if it would not.

    `login`: it was not proved who asks; `rules`: no rule lets this user have the image; `images`:
    the settings of its upstream forbid it; `registry`: that is not mirrored here; `other`: anything
    else.
    """
    # What is concealed from the client is the cause of what it reads.
    match error.__cause__ if isinstance(error.__cause__, EntrepotError) else error:
        case NotAllowed():
            return "rules"
        case NotMirrored():
            return "images"
        case AccessDenied():
            return "login"
        case NameUnknown():
            return "registry"
        case ManifestUnknown():
            return ""
        case _:
            return "other"
