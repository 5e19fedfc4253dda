"""The program `entrepot`, also as `python -m registry`."""

import gc
import sys


def run() -> None:
    """Run the command line; Ctrl-C ends it with one line also while it is being imported."""
    try:
        from registry.cli.main import run as run_command_line  # noqa: PLC0415

        gc.freeze()  # what was imported stays: looking there for garbage would take time
        run_command_line()
    except KeyboardInterrupt:
        sys.stderr.write("entrepot: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
