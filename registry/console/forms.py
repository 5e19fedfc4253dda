"""The forms that pages send."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from registry.errors import InvalidInput

LARGEST_FORM = 96 * 1024  # bytes; the names of all images of a page have about a third of it
_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, in their order; some may be there more than once."""

    fields: Sequence[tuple[str, str]] = field(repr=False)

    def get(self, name: str) -> str:
        """Return the first value of a field; "" if it is not there."""
        return next((value for key, value in self.fields if key == name), "")

    def get_all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self.fields if key == name]

    def choose(self, *names: str) -> Mapping[str, str]:
        """Return the first values of these fields."""
        return {name: self.get(name) for name in names}


async def read_form(request: web.Request) -> Form:
    """Return the fields of a form, without files.

    Raises:
        InvalidInput: it is too large, or no form.
    """
    length = request.content_length
    if request.content_type != _TYPE or length is None or length > LARGEST_FORM:
        raise InvalidInput("this is not a form of the console")
    fields = await request.post()
    return Form([(key, value) for key, value in fields.items() if isinstance(value, str)])
