"""Laws of the screen of a server."""

import io
import json
import queue
from pathlib import Path

from rich.console import Console

from registry.cli.screen import Screen

LONG = "/srv/a-folder-with-a-long-name/and-another-one"


def test_the_banner_is_broken_between_words(tmp_path: Path) -> None:
    """On 80 columns no word is cut, so that paths and commands can be copied."""
    written = io.StringIO()
    console = Console(file=written, width=80, color_system=None)
    banner = [
        f"  Data      {LONG}/data (50.0 GiB at most, of a large disk)",
        "",
        "  Stop      Ctrl-C",
    ]
    lines: queue.Queue[bytes | None] = queue.Queue()
    lines.put(json.dumps({"event": "serving", "data": str(tmp_path)}).encode())
    lines.put(None)

    Screen(console, lambda _: banner).run(lines)

    assert written.getvalue().splitlines() == [
        f"  Data      {LONG}/data (50.0 GiB at",
        "            most, of a large disk)",
        "",
        "  Stop      Ctrl-C",
    ]
