"""The process of `entrepot serve`: another one reads the command line and the settings for it.

So what reads them takes no memory of the server, and no time: the server imports its own libraries
meanwhile (decision record 0038).
"""

import gc
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from registry.cli.serve_options import ServeCommand, ServeOptions
from registry.errors import EntrepotError, SettingsError, StoreError
from registry.errors.masking import mask_crashes
from registry.server.forked_call import ForkedCall
from registry.settings.configuration import Configuration, Reload
from registry.settings.model import Settings

_NAME = "entrepot"
_MISUSED = 2  # the exit code


def run_server(arguments: Sequence[str]) -> None:
    """Run `entrepot` with these arguments, of which the first is `serve`, until SIGTERM or Ctrl-C.

    Raises:
        SystemExit: the server could not run, or its help was printed.
    """
    mask_crashes()
    reading = ForkedCall(partial(_read_command, arguments))
    with ThreadPoolExecutor(1) as pool:  # it ends before anything else is forked
        early = pool.submit(_wait_and_check, reading)
        import_server()
    gc.freeze()  # as in registry/__main__.py
    command, sound = early.result()
    try:
        is_right = _serve(command, sound)
    except (SettingsError, StoreError) as error:
        _warn(error)
        sys.exit(_MISUSED)
    sys.exit(not is_right)


def _read_command(arguments: Sequence[str]) -> ServeCommand:
    """Read the command line in a process that does not go on as a server.

    Raises:
        SystemExit: something is wrong, which was printed; or help was asked for.
    """
    gc.disable()  # the process ends soon
    from registry.cli.main import run  # noqa: PLC0415 - not in the server

    found: list[ServeCommand] = []
    try:
        run(arguments, found.append)
    except SystemExit:
        if not found:
            raise
    return found[0]


def _wait_and_check(reading: ForkedCall[ServeCommand]) -> tuple[ServeCommand, bool | None]:
    from registry.wiring.early import check_catalog  # noqa: PLC0415 - as late as possible

    command = reading.wait()
    return command, check_catalog(command.configuration.settings.storage.path)


def import_server() -> None:
    """Import the libraries of a server."""
    from registry.wiring.early import import_libraries  # noqa: PLC0415

    import_libraries()
    import registry.cli.screen_process  # noqa: PLC0415
    import registry.server.master  # noqa: F401, PLC0415


def _serve(command: ServeCommand, sound: bool | None) -> bool:
    from registry.cli.screen_process import open_screen  # noqa: PLC0415
    from registry.server.master import serve_forever  # noqa: PLC0415

    configuration = command.configuration
    with open_screen(partial(_format_banner, configuration)) as is_on_terminal:
        return serve_forever(
            configuration, partial(_reload, command.options), sound, is_on_terminal=is_on_terminal
        )


def _reload(options: ServeOptions, former: Settings) -> Reload:
    """Load the settings again, in another process.

    Raises:
        SettingsError: as for `load_configuration`.
    """

    def work() -> Reload:
        from registry.cli.serve import reload  # noqa: PLC0415 - not in the server

        return reload(options, former)

    return ForkedCall(work).wait()


def _warn(error: EntrepotError) -> None:
    from registry.cli.messages import warn  # noqa: PLC0415 - it needs typer

    warn(str(error))


def _format_banner(configuration: Configuration, started: Mapping[str, Any]) -> Iterator[str]:
    # Imported only where it is shown, as it needs rich.
    from registry.cli.screen_lines import format_banner  # noqa: PLC0415

    return format_banner(
        configuration.settings,
        started,
        has_own_file=configuration.is_own,
        command=_find_command(),
    )


def _find_command() -> str:
    """Return how this program is called: by its path, if it is not on the PATH."""
    called = Path(sys.argv[0])
    if called.name != _NAME or shutil.which(_NAME):
        return _NAME
    return str(called)
