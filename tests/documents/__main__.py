"""Write the pages that are made from the code.

python -m tests.documents          writes docs/settings.md and docs/commands.md
"""

import sys

from tests.documents.commands import build_commands_page
from tests.documents.places import COMMANDS_PAGE, SETTINGS_PAGE
from tests.documents.settings import build_settings_page


def main() -> int:
    """Write both pages."""
    pages = {SETTINGS_PAGE: build_settings_page(), COMMANDS_PAGE: build_commands_page()}
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
        sys.stderr.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
