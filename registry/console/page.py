"""What a page is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its template, its facts, which are also the JSON, and further values.

    `path` is the page of the navigation to which it belongs. With `text`, people get that, and no
    template is used.
    """

    template: str
    report: object
    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    text: str = ""
