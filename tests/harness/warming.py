"""Warming and bundling as the commands do it, in the process of the test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.bundle.format.lock import ImageRequest
from registry.bundle.write.choice import Choice
from registry.bundle.write.plan import Plan
from registry.mirror.prefetch import PrefetchResult
from registry.oci.image_patterns import parse_image
from registry.settings.model import Settings
from registry.settings.tables import read_table
from registry.wiring.content import open_content
from registry.wiring.data_folder import open_data_folder
from registry.wiring.pulls import open_warming

HUB = "docker.io"


class WarmSite:
    """A data folder, and the table of Docker Hub as the settings have it.

    Each call knows of earlier calls only what is in the data folder, as a new command does.
    """

    def __init__(self, data: Path, table: Mapping[str, Any]) -> None:
        self.data = data
        self._settings = read_table(
            Settings, {"storage": {"path": data}, "upstreams": {HUB: {**table, "default": True}}}
        )
        open_data_folder(self._settings)

    async def warm(self, image: str, *platforms: str) -> PrefetchResult:
        """Download what is missing of an image, and what refers to it."""
        name = parse_image(image, self._settings.registries)
        async with open_warming(self._settings) as (prefetcher, _):
            return await prefetcher.warm(*name, platforms, with_attached=True)

    async def plan(self, image: str, *platforms: str) -> Plan:
        """Choose the parts of an image for a bundle."""
        request = ImageRequest(*parse_image(image, self._settings.registries))
        async with open_content(self._settings) as content:
            return await content.planner.plan([request], Choice("subset", platforms))
