"""All attacks at full size, as a table: `python -m tests.faults.attacks [KIND]...`."""

import sys
import tempfile
from pathlib import Path

from tests.faults.attacks.sizes import DESCRIPTORS, FULL, SECONDS
from tests.faults.attacks.trial import HEAD, Trial


def main(kinds: list[str]) -> None:
    sys.stdout.write(f"{HEAD}\n")
    for kind, count in FULL.items():
        for descriptors in DESCRIPTORS:
            if kinds and kind not in kinds:
                continue
            with (
                tempfile.TemporaryDirectory() as folder,
                Trial(Path(folder), kind, descriptors) as trial,
            ):
                outcome = trial.run(count, SECONDS)
            sys.stdout.write(f"{outcome}\n")
            for fault in outcome.list_faults():
                sys.stdout.write(f"  - {fault}\n")
            if outcome.ready.strip() != "ok":
                sys.stdout.write(f"  - /readyz: {outcome.ready}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
