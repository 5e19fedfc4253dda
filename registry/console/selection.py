"""Actions on several images: a page says what they do together, and its form does it.

The names are too many for an address, so that a POST asks for the page too; it changes nothing.
"""

from typing import Protocol
from urllib.parse import parse_qsl, urlencode

from registry.console.actions import read_image
from registry.console.forms import Form
from registry.console.page import Page
from registry.errors import InvalidInput
from registry.oci.names import parse_repository
from registry.reports.console.selection import Image, Selection, SelectionReader

ASK, DO = "/selected", "/selected/do"
VERBS = ("pin", "unpin", "remove")
LIST = "/images"
LIST_FIELDS = ("q", "upstream", "sort", "pinned", "gone", "in")  # of the addresses of the list


class BulkActions(Protocol):
    """Carries out actions on several images (`mirror/operator_actions.py`)."""

    async def pin_all(self, images: list[Image]) -> None:
        """Keep images."""

    async def unpin_all(self, images: list[Image]) -> None:
        """Stop keeping images."""

    async def remove_all(self, images: list[Image]) -> int:
        """Remove those images that no pin keeps; return how many bytes that freed."""


class SelectionPages:
    """Explains actions on several images, and carries them out."""

    def __init__(self, reader: SelectionReader, actions: BulkActions) -> None:
        self._reader = reader
        self._actions = actions

    async def change(self, path: str, form: Form) -> Page | str:
        """Return the page that says what will be done; or do it, and return the path of the list.

        If other images are meant than the page has shown, the page is shown again.

        Raises:
            InvalidInput: there is no such action, a name cannot be one, or they are too many.
            EntrepotError: it could not be done.
        """
        selection = await self._read(form)
        report, back = selection.report, _read_back(form.get("back"))
        if not report.names:
            return _lead_back(back, done="done.nothing")
        if path == ASK or form.get("seal") != report.seal:
            values = {
                "images": form.get_all("image"),
                "repositories": form.get_all("repository"),
                "back": urlencode(back),
                "has_changed": path == DO,
            }
            return Page("selected", report, LIST, values)
        freed = await self._carry_out(selection)
        done = f"done.all_{report.verb}"
        return _lead_back(back, done=done, freed=str(freed), n=str(len(report.names)))

    async def _read(self, form: Form) -> Selection:
        verb = form.get("verb")
        if verb not in VERBS:
            raise InvalidInput(f"{verb[:40]!r} is no action")
        images = [read_image(name) for name in form.get_all("image")]
        repositories = [parse_repository(name) for name in form.get_all("repository")]
        return await self._reader.describe(verb, images, repositories)

    async def _carry_out(self, selection: Selection) -> int:
        images = list(selection.images)
        match selection.report.verb:
            case "pin":
                await self._actions.pin_all(images)
            case "unpin":
                await self._actions.unpin_all(images)
            case _:
                return await self._actions.remove_all(images)
        return 0


def _read_back(text: str) -> dict[str, str]:
    """Return what the list has shown, by the query of its address."""
    return {key: value for key, value in parse_qsl(text) if key in LIST_FIELDS}


def _lead_back(shown: dict[str, str], **done: str) -> str:
    return f"{LIST}?{urlencode(shown | done)}"
