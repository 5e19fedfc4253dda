"""The turn of a download that is alone in its process."""

from registry.settings.model import LimitSettings
from registry.upstream.download_budget import DownloadBudget, Turn


def open_turn(connections: int, *, is_read: bool = True) -> Turn:
    """Return a turn that may use `connections` connections, with the default limits."""
    limits = LimitSettings()
    budget = DownloadBudget(limits.download_memory, limits.download_connections)
    return budget.open_turn(lambda: is_read, connections, "docker.io")
