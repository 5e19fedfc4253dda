"""Prefetching on a schedule: which images a prefetch means, and how its runs are made."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import structlog

from registry.errors import FileUnreadable, InvalidInput
from registry.image_lists.detection import MAX_SIZE, Kind, decode, detect, find_images
from registry.image_lists.env_file import gather_variables
from registry.image_lists.results import DOCKER_HUB, Certainty, ListedImage, merge
from registry.mirror.prefetch_run import Image, PrefetchRun
from registry.mirror.prefetch_schedule import PrefetchSchedule
from registry.oci.image_patterns import ImagePattern, parse_image
from registry.oci.names import Tag, format_image
from registry.oci.platforms import ALL, own_platform
from registry.settings.model import Settings
from registry.settings.named_files import read_first
from registry.settings.prefetch import PrefetchSettings
from registry.tasks import in_thread
from registry.wiring.content import ContentServices
from registry.wiring.pulls import open_warming


def open_schedule(settings: Settings, content: ContentServices) -> PrefetchSchedule:
    """Return the schedule of all prefetches of the settings, over an open data folder."""
    run = Prefetching(settings, content).run
    return PrefetchSchedule(settings.prefetch, content.prefetch_runs, content.locks, run, time.time)


class Prefetching:
    """Makes the runs of prefetches with these settings, over an open data folder."""

    def __init__(self, settings: Settings, content: ContentServices) -> None:
        self._settings = settings
        self._content = content
        self._log = structlog.get_logger("registry.wiring")

    async def run(self, prefetch: PrefetchSettings) -> dict[str, object]:
        """Download the images of a prefetch; return counts for the log.

        Raises:
            StoreError, SettingsError: the catalog refused, or a file in the settings is missing.
        """
        images = list(islice(await self._find_images(prefetch), prefetch.max_images))

        async def choose_platforms(image: Image) -> Sequence[str]:
            return await self._choose_platforms(prefetch, image)

        async with open_warming(self._settings) as (prefetcher, estimator):
            run = PrefetchRun(prefetcher, estimator, choose_platforms, prefetch.keep_pulls)
            return asdict(await run.fetch_all(images))

    async def _find_images(self, prefetch: PrefetchSettings) -> "dict[Image, None]":
        """Return the images of all sources, each once: the named, those of lists, the history."""
        registries = self._settings.registries
        found = [parse_image(name, registries) for name in prefetch.images]
        for path in prefetch.lists:
            found += await self._read_list(path)
        if prefetch.history:
            pulled = await self._content.pull_history.list_pulled(prefetch.history)
            found += [
                (each.repository, each.reference)
                for each in pulled
                if isinstance(each.reference, Tag)
            ]
        known = self._settings.upstreams
        for image in found:
            if image[0].registry not in known:
                why = f"{image[0].registry} is no upstream of the settings"
                self._log.warning("image not prefetched", image=format_image(*image), why=why)
        return dict.fromkeys(image for image in found if image[0].registry in known)

    async def _read_list(self, path: str) -> list[Image]:
        """Return the images of a file; if it cannot be read, the log says why."""
        try:
            listed = await in_thread(read_list, Path(path))
            # In files, a name without a registry means Docker Hub.
            entries = merge(listed, self._settings.registries.with_default(DOCKER_HUB))
        except InvalidInput as error:
            self._log.error("list not prefetched", file=path, why=str(error))
            return []
        certain = (each for each in entries if each.certainty < Certainty.POSSIBLE)
        return [(each.repository, each.reference) for each in certain]

    async def _choose_platforms(self, prefetch: PrefetchSettings, image: Image) -> list[str]:
        """Return the platforms to download: those of the settings, or those that are stored."""
        if prefetch.platforms:
            return [] if ALL in prefetch.platforms else list(prefetch.platforms)
        pattern = ImagePattern((str(image[0]),), str(image[1]))
        reports = await self._content.images.describe([pattern])
        stored = {
            each.platform for report in reports for each in report.platforms if each.is_complete
        }
        return sorted(stored - {""}) or [own_platform()]


def read_list(path: Path) -> tuple[ListedImage, ...]:
    """Return the images that a file of any kind names, as `images warm --file` reads it.

    Raises:
        FileUnreadable: it cannot be opened.
        ListInvalid: it names an image in a wrong form, or is of a kind that is not read.
    """
    data = _read(path)
    name = str(path)
    kind = detect(name, decode(data, name))
    variables = gather_variables(os.environ)
    beside = path.parent / ".env"
    if kind is Kind.COMPOSE and beside.is_file():
        variables = gather_variables(os.environ, decode(_read(beside), str(beside)), str(beside))
    return find_images(data, name, kind=kind, variables=variables).images


def _read(path: Path) -> bytes:
    try:
        return read_first(path, MAX_SIZE + 1)
    except OSError as error:
        cure = "name a file that the server can read in prefetch.lists"
        raise FileUnreadable(str(path), error, cure) from error
