"""A law of the supervisor: a process that starts late learns which catalog the workers opened."""

import subprocess
import sys
from pathlib import Path

from registry.store.data_folder import open_folder
from tests.integration.wire import PATIENCE

# The background process replaces the catalog and dies; the next one notes what it is told.
REPLACING = """
import os, signal, socket, sys
from pathlib import Path
from registry.server.heartbeats import BACKGROUND, Heartbeats
from registry.server.shared import SharedResources
from registry.server.supervisor import WATCHED, Supervisor
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder

async def replace_once(shared, number):
    if number != BACKGROUND:
        signal.pause()
    new = shared.folder.root / "new"
    if new.exists():
        new.replace(shared.folder.catalog)
        sys.exit(1)
    (shared.folder.root / "told").write_text(repr(shared.catalog))
    os.kill(os.getppid(), signal.SIGTERM)

signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
pulls, console = socket.socketpair()
pipe, own_end = os.pipe()
folder = DataFolder(Path(sys.argv[1]))
shared = SharedResources(Settings(), folder, pulls, console, Heartbeats(1), pipe, folder.root)
Supervisor(replace_once, 1, lambda former: former, own_end).run(shared)
"""


def test_a_background_process_that_starts_late_knows_the_former_catalog(tmp_path: Path) -> None:
    """It would otherwise take the new file for that of the workers, which nobody would replace."""
    folder = open_folder(tmp_path)
    folder.catalog.write_text("former")
    (tmp_path / "new").write_text("new")
    former = folder.identify_catalog()

    done = subprocess.run(
        [sys.executable, "-c", REPLACING, tmp_path],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert repr(former) == (tmp_path / "told").read_text()
    assert former != folder.identify_catalog()
