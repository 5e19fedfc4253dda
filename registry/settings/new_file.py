"""A new settings file: the text of `config/entrepot.toml`, with every value commented out.

What stays commented out keeps the default of the version that reads the file.
"""

import importlib.resources
import re
from contextlib import suppress
from pathlib import Path

from registry.settings.places import PROJECT

_HEAD = """\
# The settings of this Entrepôt. Every value is the default, and commented out: to change a value,
# remove the "# " before it. Then run: entrepot config check
"""
_VALUE = re.compile(r"^(?=[a-z_]+ = )", re.MULTILINE)


def write_new_settings(file: Path) -> None:
    """Write a new settings file, and make its folder if it is missing.

    Raises:
        FileExistsError: there is such a file already; it is not changed.
        OSError: the disk refused; a folder that was made for it is removed again.
    """
    text = build_text()
    missing = [each for each in file.parents if not each.exists()]  # the innermost first
    is_made = False
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            is_made = True
            new.write(text)
    except OSError:
        if is_made:
            file.unlink(missing_ok=True)
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


def build_text() -> str:
    """Return the text of a new settings file, which has the same meaning as no file."""
    shipped = importlib.resources.files("registry.settings") / "entrepot.toml"
    if not shipped.is_file():  # this code is in a checkout
        shipped = PROJECT / "config" / "entrepot.toml"
    _, _, text = shipped.read_text(encoding="utf-8").partition("\n#\n")
    return f"{_HEAD}#\n{_VALUE.sub('# ', text)}"
