"""Prefetching on a schedule in the background process of a server."""

import time
from dataclasses import asdict
from functools import partial

from registry.mirror.prefetch_run import PrefetchRun
from registry.mirror.prefetch_schedule import PrefetchSchedule
from registry.mirror.prefetch_sources import PrefetchSources
from registry.settings.model import Settings
from registry.settings.prefetch import PrefetchSettings
from registry.wiring.content import ContentServices
from registry.wiring.pulls import open_warming


def build_schedule(settings: Settings, content: ContentServices) -> PrefetchSchedule:
    """Return the schedule of all prefetches of the settings, over an open data folder."""
    run = partial(_run, settings, content)
    return PrefetchSchedule(settings.prefetch, content.prefetch_runs, content.locks, run, time.time)


async def _run(
    settings: Settings, content: ContentServices, prefetch: PrefetchSettings
) -> dict[str, object]:
    """Download the images of a prefetch; return counts for the log.

    Connections to upstreams are open only during a run.

    Raises:
        StoreError, SettingsError: the catalog refused, or a file in the settings is missing.
    """
    sources = PrefetchSources(settings.registries, content.pull_history, content.images)
    images = await sources.find_images(prefetch)
    async with open_warming(settings, prefetch.keep_pulls) as (prefetcher, estimator):
        choose = partial(sources.choose_platforms, prefetch)
        run = PrefetchRun(prefetcher, estimator, choose, prefetch.keep_pulls)
        return asdict(await run.fetch_all(images))
