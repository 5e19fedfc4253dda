"""What names point to, on disk: the truth from which a lost catalog can be made again.

`tags/<registry>/<repository>/@/tag-<tag>` and `.../@/digest-<algorithm>-<hex>` each hold one small
JSON object. `@` cannot occur in a repository name, so a tag never clashes with a repository below.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import aiofiles.os

from registry.errors import InvalidInput, StoreError
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, parse_reference, parse_repository
from registry.store.data_folder import make_folder, write_durably


@dataclass(frozen=True, slots=True)
class TagTarget:
    """What a reference led to: `digest` and `media_type` of the manifest, and when (epoch s).

    `bundle` is the id of the bundle that said so, and `signer` the name of the key that had signed
    it; both are empty where an upstream said so.
    """

    digest: str
    media_type: str
    seen: float
    bundle: str = ""
    signer: str = ""


class TagFiles:
    """The folder of pointers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, repository: Repository, reference: Reference, pointer: TagTarget) -> None:
        """Record durably what `reference` led to.

        Raises:
            StoreError: the disk refused; the former pointer is still there.
        """
        await aiofiles.os.wrap(self._write)(self._path(repository, reference), pointer)

    def _write(self, path: Path, pointer: TagTarget) -> None:
        try:
            make_folder(path.parent)
            fields = {key: value for key, value in asdict(pointer).items() if value != ""}
            write_durably(path, json.dumps(fields).encode())
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error

    async def read(self, repository: Repository, reference: Reference) -> TagTarget | None:
        """Return what is recorded; None when nothing is."""
        path = self._path(repository, reference)
        try:
            content = await aiofiles.os.wrap(path.read_bytes)()
        except FileNotFoundError:
            return None
        return TagTarget(**json.loads(content))

    async def remove(self, repository: Repository, reference: Reference) -> None:
        """Forget what `reference` led to; harmless when nothing is recorded.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(repository, reference)
        try:
            await aiofiles.os.wrap(path.unlink)(missing_ok=True)
        except OSError as error:
            raise StoreError(str(path), error.strerror or str(error)) from error

    async def scan(self) -> AsyncIterator[tuple[Repository, Reference, TagTarget]]:
        """Yield everything that is recorded, in no order; strangers' files are passed over."""
        for registry in await aiofiles.os.wrap(self._list_registries)():
            for path in await aiofiles.os.wrap(self._list)(registry):
                found = await aiofiles.os.wrap(self._read_file)(path)
                if found is not None:
                    yield found

    def _list_registries(self) -> list[Path]:
        return [path for path in self._folder.glob("*") if path.is_dir()]

    def _list(self, registry: Path) -> list[Path]:
        return list(registry.glob("**/@/*"))

    def _read_file(self, path: Path) -> tuple[Repository, Reference, TagTarget] | None:
        registry, *names = path.parent.parent.relative_to(self._folder).parts
        kind, _, name = path.name.partition("-")
        try:
            pointer = TagTarget(**json.loads(path.read_bytes()))
            Digest.parse(pointer.digest)
            repository = parse_repository("/".join((registry, *names)))
            reference = parse_reference(name.replace("-", ":", 1) if kind == "digest" else name)
        except (OSError, ValueError, TypeError, InvalidInput):
            return None
        is_right = kind == ("tag" if isinstance(reference, Tag) else "digest")
        return (repository, reference, pointer) if is_right else None

    def _path(self, repository: Repository, reference: Reference) -> Path:
        if isinstance(reference, Digest):
            name = f"digest-{reference.algorithm}-{reference.encoded}"
        else:
            name = f"tag-{reference.name}"
        return self._folder / repository.registry / repository.name / "@" / name
