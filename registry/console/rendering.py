"""Pages from templates and reports. No text of a page is in a template: see `messages.py`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from registry.console.formats import Formats
from registry.console.languages import LANGUAGES
from registry.console.messages import Messages
from registry.console.static_files import StaticFile

FOLDER = Path(__file__).parent / "templates"


class Renderer:
    """Renders templates; what is not one of our own texts is escaped, whatever it is."""

    def __init__(self, messages: Mapping[str, Messages], files: Mapping[str, StaticFile]) -> None:
        self._messages = messages
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = {name: each.path for name, each in files.items()}
        self._environment.globals["languages"] = LANGUAGES

    def render(self, template: str, language: str, **values: Any) -> str:
        """Return the text of a page or of a part of it.

        Raises:
            jinja2.UndefinedError: a value that the template needs is missing.
        """
        messages = self._messages[language]
        now = time.time()
        page = self._environment.get_template(f"{template}.html")
        return page.render(
            t=messages, fmt=Formats(messages, now), language=language, now=now, **values
        )
