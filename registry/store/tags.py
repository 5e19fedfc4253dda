"""Tag files: which manifest a tag or digest of a repository leads to.

A lost catalog is made again from these files. `tags/<registry>/<repository>/@/tag-<tag>` and
`.../@/digest-<algorithm>-<hex>` each contain one small JSON object. `@` cannot occur in a
repository name, so these names never conflict with the folder of another repository.
`.../@/history-<tag>` has what the tag has led to before (`tag_history.py`). It is missing if the
tag file says all of it.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from registry.errors import DigestInvalid, InvalidInput
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, parse_reference, parse_repository
from registry.store.files import make_folder, translate_errors, write_durably
from registry.store.small_files import parse_time, put_aside, read_small_json
from registry.store.tag_history import TagHistory, format_history, parse_history
from registry.tasks import in_thread


@dataclass(frozen=True, slots=True)
class TagTarget:
    """The manifest that a reference leads to: its `digest` and `media_type`.

    `seen` is when this was last confirmed (epoch seconds). If a bundle confirmed it, `bundle` is
    the id of the bundle, and `signer` the name of the key that signed the bundle. If an upstream
    confirmed it, both are empty.
    """

    digest: str
    media_type: str
    seen: float
    bundle: str = ""
    signer: str = ""


class TagFiles:
    """The folder of the tag files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, repository: Repository, reference: Reference, target: TagTarget) -> None:
        """Write durably which manifest `reference` leads to.

        Raises:
            StoreError: the disk refused; the file was not changed.
        """
        await in_thread(self._write, self._path(repository, reference), target)

    def _write(self, path: Path, target: TagTarget) -> None:
        fields = {key: value for key, value in asdict(target).items() if value != ""}
        with translate_errors(path):
            _write(path, json.dumps(fields).encode())

    async def read(self, repository: Repository, reference: Reference) -> TagTarget | None:
        """Return the content of the tag file for `reference`; None if it is missing or damaged."""
        path = self._path(repository, reference)
        try:
            return await in_thread(_read_target, path)
        except (FileNotFoundError, ValueError):
            return None

    async def remove(
        self, repository: Repository, reference: Reference, *, with_history: bool = True
    ) -> None:
        """Delete the tag file for `reference`, if there is one, and the history of a tag.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(repository, reference)
        with translate_errors(path):
            await in_thread(path.unlink, missing_ok=True)
        if isinstance(reference, Tag) and with_history:
            await self.write_history(repository, reference, TagHistory())

    async def read_history(self, repository: Repository, tag: Tag) -> TagHistory:
        """Return the history of a tag; it is empty if its file is missing or damaged.

        A damaged file is logged and renamed.

        Raises:
            StoreError: the disk refused: what is written is not known.
        """
        path = self._history_path(repository, tag)
        with translate_errors(path):
            return await in_thread(_read_history, path)

    async def write_history(self, repository: Repository, tag: Tag, history: TagHistory) -> None:
        """Write the history of a tag durably; delete the file if the history is empty.

        Raises:
            StoreError: the disk refused; the file was not changed.
        """
        path = self._history_path(repository, tag)
        with translate_errors(path):
            if history == TagHistory():
                await in_thread(path.unlink, missing_ok=True)
                return
            content = json.dumps(format_history(history)).encode()
            await in_thread(_write, path, content)

    async def scan_histories(self) -> AsyncIterator[tuple[Repository, Tag]]:
        """Yield each tag that has a history of its own, in any order."""
        for registry in await in_thread(self._list_registries):
            for path in await in_thread(self._list, registry):
                kind, repository, reference = self._name(path)
                if kind == "history" and repository and isinstance(reference, Tag):
                    yield repository, reference

    async def scan_lone_histories(self) -> AsyncIterator[tuple[Repository, Tag, TagHistory]]:
        """Yield the history of each tag that has no tag file: it was always refused, or expired.

        Raises:
            StoreError: the disk refused.
        """
        async for repository, tag in self.scan_histories():
            if not await in_thread(self._path(repository, tag).exists):
                yield repository, tag, await self.read_history(repository, tag)

    async def scan(self) -> AsyncIterator[tuple[Repository, Reference, TagTarget]]:
        """Yield the content of all tag files, in any order.

        Unknown files are left out. A damaged file is logged and renamed.
        """
        for registry in await in_thread(self._list_registries):
            for path in await in_thread(self._list, registry):
                found = await in_thread(self._read_file, path)
                if found is not None:
                    yield found

    def _list_registries(self) -> list[Path]:
        return [path for path in self._folder.glob("*") if path.is_dir()]

    def _list(self, registry: Path) -> list[Path]:
        return list(registry.glob("**/@/*"))

    def _name(self, path: Path) -> tuple[str, Repository | None, Reference | None]:
        """Return the kind of a file, and what it is about; None if it is no file of ours."""
        registry, *names = path.parent.parent.relative_to(self._folder).parts
        kind, _, name = path.name.partition("-")
        try:
            repository = parse_repository("/".join((registry, *names)))
            reference = parse_reference(name.replace("-", ":", 1) if kind == "digest" else name)
        except InvalidInput:
            return "", None, None
        return kind, repository, reference

    def _read_file(self, path: Path) -> tuple[Repository, Reference, TagTarget] | None:
        kind, repository, reference = self._name(path)
        if repository is None or reference is None:
            return None
        if kind != ("tag" if isinstance(reference, Tag) else "digest"):
            return None
        try:
            return repository, reference, _read_target(path)
        except OSError:
            return None
        except ValueError as error:
            put_aside(path, str(error))
            return None

    def _path(self, repository: Repository, reference: Reference) -> Path:
        if isinstance(reference, Digest):
            name = f"digest-{reference.algorithm}-{reference.encoded}"
        else:
            name = f"tag-{reference.name}"
        return self._folder / repository.registry / repository.name / "@" / name

    def _history_path(self, repository: Repository, tag: Tag) -> Path:
        return self._path(repository, tag).with_name(f"history-{tag.name}")


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    write_durably(path, content)


def _read_history(path: Path) -> TagHistory:
    try:
        return parse_history(read_small_json(path))
    except FileNotFoundError:
        return TagHistory()
    except ValueError as error:
        put_aside(path, str(error))
        return TagHistory()


def _read_target(path: Path) -> TagTarget:
    """Return the content of a tag file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged.
    """
    fields = read_small_json(path)
    try:
        target = TagTarget(**fields)  # type: ignore[arg-type]
        Digest.parse(target.digest)
    except (TypeError, DigestInvalid) as error:
        raise ValueError("it is not a tag file") from error
    texts = (target.media_type, target.bundle, target.signer)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it is not a tag file")
    return replace(target, seen=parse_time(target.seen))
