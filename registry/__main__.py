"""The program `entrepot`, also as `python -m registry`."""

import gc
import sys


def run() -> None:
    """Run the command line; Ctrl-C ends it with one line also while it is being imported."""
    try:
        if sys.argv[1:2] == ["serve"]:  # a server has no library for command lines in its memory
            from registry.cli.server_process import run_server  # noqa: PLC0415

            run_server(sys.argv[1:])
        else:
            from registry.cli.main import run as run_command_line  # noqa: PLC0415

            gc.freeze()  # what was imported stays: looking there for garbage would take time
            run_command_line(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("entrepot: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    run()
