"""Finding the downloads that run on a data folder."""

from pathlib import Path

from registry.content.usage import RunningDownload, list_downloads
from registry.store.data_folder import DataFolder
from registry.store.ingests import Ingests


def find_downloads(root: Path) -> list[RunningDownload]:
    """Return the blobs that are being written to the data folder `root` now, by any process."""
    return list_downloads(Ingests(DataFolder(root).ingests))
