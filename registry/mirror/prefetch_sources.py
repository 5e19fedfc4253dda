"""Which images a prefetch means: those of the settings, of files, and of the history of pulls."""

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from registry.content.images import Images
from registry.content.pull_history import PullHistory
from registry.errors import FileUnreadable, InvalidInput, TokenMisplaced
from registry.image_lists.detection import MAX_SIZE, Kind, decode, detect, find_images
from registry.image_lists.env_file import gather_variables
from registry.image_lists.results import DOCKER_HUB, Certainty, Entry, ListedImage, merge
from registry.logs import get_logger
from registry.mirror.prefetch_run import Image
from registry.oci.image_patterns import ImagePattern, parse_image
from registry.oci.names import Tag, format_image
from registry.oci.platforms import ALL, own_platform
from registry.oci.registries import Registries
from registry.oci.token_texts import mask_tokens, refuse_tokens
from registry.settings.named_files import read_first
from registry.settings.prefetch import PrefetchSettings
from registry.tasks import in_thread


class PrefetchSources:
    """Finds the images of prefetches; `registries` are the upstreams of the settings."""

    def __init__(self, registries: Registries, history: PullHistory, images: Images) -> None:
        self._registries = registries
        self._history = history
        self._images = images
        self._log = get_logger("registry.mirror")

    async def find_images(self, prefetch: PrefetchSettings) -> list[Image]:
        """Return the images of a prefetch, each once: the named, those of lists, the history.

        What cannot be used is left out, and the log says why.

        Raises:
            StoreError: the catalog cannot be read.
        """
        found = [parse_image(name, self._registries) for name in prefetch.images]
        for path in prefetch.lists:
            found += await self._read_list(path)
        if prefetch.history:
            pulled = await self._history.list_pulled(prefetch.history)
            tagged = (each for each in pulled if isinstance(each.reference, Tag))
            found += [(each.repository, each.reference) for each in tagged]
        known = (image for image in dict.fromkeys(found) if self._is_known(image))
        return list(islice(known, prefetch.max_images))

    async def choose_platforms(self, prefetch: PrefetchSettings, image: Image) -> Sequence[str]:
        """Return the platforms to download: those of the settings, or those that are stored.

        An empty list means all platforms.

        Raises:
            StoreError: the catalog cannot be read.
        """
        if prefetch.platforms:
            return () if ALL in prefetch.platforms else prefetch.platforms
        reports = await self._images.describe([ImagePattern((str(image[0]),), str(image[1]))])
        stored = {
            each.platform for report in reports for each in report.platforms if each.is_complete
        }
        return sorted(stored - {""}) or [own_platform()]

    def _is_known(self, image: Image) -> bool:
        registry = image[0].registry
        if registry in self._registries.own_names:
            return True
        why = f"{registry} is no upstream of the settings"
        self._log.warning("image not prefetched", image=format_image(*image), why=why)
        return False

    async def _read_list(self, path: str) -> list[Image]:
        """Return the images of a file; if it cannot be read, the log says why."""
        try:
            listed = await in_thread(read_list, Path(path))
            # In files, a name without a registry means Docker Hub.
            entries = merge(listed, self._registries.with_default(DOCKER_HUB))
        except InvalidInput as error:
            self._log.error("list not prefetched", file=path, why=str(error))
            return []
        certain = (each for each in entries if each.certainty < Certainty.POSSIBLE)
        return [(each.repository, each.reference) for each in certain if self._is_sound(each, path)]

    def _is_sound(self, entry: Entry, path: str) -> bool:
        """Whether no token of a mirror is in a name; otherwise the log says so, without it."""
        try:
            refuse_tokens(entry.image)
        except TokenMisplaced as error:  # the registry would read it
            image = mask_tokens(entry.image)
            self._log.warning("image not prefetched", image=image, file=path, why=str(error))
            return False
        return True


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
