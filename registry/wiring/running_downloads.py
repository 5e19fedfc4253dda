"""Finding the downloads that run on a data folder, and how many clients wait for each."""

from pathlib import Path

from registry.content.usage import RunningDownload, list_downloads
from registry.mirror.waiting_clients import add_up
from registry.store.data_folder import DataFolder
from registry.store.demand_files import READERS, DemandFiles
from registry.store.ingests import Ingests


def find_downloads(root: Path) -> list[RunningDownload]:
    """Return the blobs that are being written to the data folder `root` now, by any process."""
    folder = DataFolder(root)
    waiting = add_up(DemandFiles(folder.locks, READERS).read())
    return list_downloads(Ingests(folder.ingests), waiting)
