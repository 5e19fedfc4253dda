"""Record what every command prints, in a terminal and without one.

    python -m tests.outputs                    writes docs/evidence/outputs.md
    python -m tests.outputs --out page.md      writes another file

People read the page for plain English: each output has to be clear without the source.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.upstream import FakeUpstream
from tests.outputs.page import draw
from tests.outputs.scenes import play, prepare
from tests.outputs.setup_scenes import examine_clients, point_clients
from tests.outputs.upstream_scenes import choose_endpoints

PAGE = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "outputs.md"


def main(arguments: Sequence[str]) -> int:
    """Run everything, and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.outputs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE", help="of the page")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as folder, FakeUpstream() as hub:
        stage = prepare(Path(folder), hub)
        play(stage)
        point_clients(stage)
        examine_clients(stage)
        choose_endpoints(stage)
    chosen.out.write_text(draw(stage.record), encoding="utf-8")
    sys.stderr.write(f"wrote {chosen.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
