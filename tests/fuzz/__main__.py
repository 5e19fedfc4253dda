"""Fuzz a target until something is wrong with it, or the time is over (libFuzzer's options).

python -m tests.fuzz archives corpus/ -max_total_time=600
python -m tests.fuzz archives crash-0123abcd            once, with an input that was found
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["registry"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Give the target what its seeds become."""
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as seeds, target.open() as look:
        for number, seed in enumerate(target.seeds()):
            (Path(seeds) / str(number)).write_bytes(seed)
        corpora = [] if any(Path(each).is_file() for each in options) else [seeds]
        atheris.Setup([sys.argv[0], *options, *corpora], look)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
