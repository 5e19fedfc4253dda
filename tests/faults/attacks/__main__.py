"""All attacks at full size, as a table: `python -m tests.faults.attacks [--users] [KIND]...`.

With `--users`, the mirror has users and rules, the attacker of the usual kinds is one of them, and
there are attacks on logins too.
"""

import sys
import tempfile
from pathlib import Path

from tests.faults.attacks.kinds import OF_USERS
from tests.faults.attacks.sizes import DESCRIPTORS, FULL, SECONDS
from tests.faults.attacks.trial import HEAD, Trial


def main(arguments: list[str]) -> None:
    has_users = "--users" in arguments
    kinds = [each for each in arguments if each != "--users"] or list(FULL)
    sys.stdout.write(f"{HEAD}\n")
    for kind, count in FULL.items():
        for descriptors in DESCRIPTORS:
            if kind not in kinds or (kind in OF_USERS and not has_users):
                continue
            with (
                tempfile.TemporaryDirectory() as folder,
                Trial(Path(folder), kind, descriptors, has_users=has_users) as trial,
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
