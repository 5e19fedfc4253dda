"""What names point to, on disk: the files from which a lost catalog is made again.

`tags/<registry>/<repository>/@/tag-<tag>` and `.../@/digest-<algorithm>-<hex>` each hold one small
JSON object. `@` cannot occur in a repository name, so a tag never clashes with a repository below.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.errors import InvalidInput
from registry.oci.digest import Digest
from registry.oci.names import Reference, Repository, Tag, parse_reference, parse_repository
from registry.store.files import make_folder, translate_errors, write_durably
from registry.tasks import in_thread


@dataclass(frozen=True, slots=True)
class TagTarget:
    """What a reference points to: `digest` and `media_type` of the manifest, and since when.

    `seen` is when it was last confirmed (epoch s). `bundle` is the id of the bundle that said so,
    and `signer` the name of the key that signed the bundle; both are empty where an upstream said
    so.
    """

    digest: str
    media_type: str
    seen: float
    bundle: str = ""
    signer: str = ""


class TagFiles:
    """The folder of these files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def write(self, repository: Repository, reference: Reference, target: TagTarget) -> None:
        """Record durably what `reference` points to.

        Raises:
            StoreError: the disk refused; the former file is still there.
        """
        await in_thread(self._write, self._path(repository, reference), target)

    def _write(self, path: Path, target: TagTarget) -> None:
        fields = {key: value for key, value in asdict(target).items() if value != ""}
        with translate_errors(path):
            make_folder(path.parent)
            write_durably(path, json.dumps(fields).encode())

    async def read(self, repository: Repository, reference: Reference) -> TagTarget | None:
        """Return what is recorded; None when nothing is."""
        path = self._path(repository, reference)
        try:
            content = await in_thread(path.read_bytes)
        except FileNotFoundError:
            return None
        return TagTarget(**json.loads(content))

    async def remove(self, repository: Repository, reference: Reference) -> None:
        """Delete what is recorded for `reference`; harmless when nothing is.

        Raises:
            StoreError: the disk refused.
        """
        path = self._path(repository, reference)
        with translate_errors(path):
            await in_thread(path.unlink, missing_ok=True)

    async def scan(self) -> AsyncIterator[tuple[Repository, Reference, TagTarget]]:
        """Yield everything that is recorded, in no order; unknown files are left out."""
        for registry in await in_thread(self._list_registries):
            for path in await in_thread(self._list, registry):
                found = await in_thread(self._read_file, path)
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
            target = TagTarget(**json.loads(path.read_bytes()))
            Digest.parse(target.digest)
            repository = parse_repository("/".join((registry, *names)))
            reference = parse_reference(name.replace("-", ":", 1) if kind == "digest" else name)
        except (OSError, ValueError, TypeError, InvalidInput):
            return None
        is_expected = kind == ("tag" if isinstance(reference, Tag) else "digest")
        return (repository, reference, target) if is_expected else None

    def _path(self, repository: Repository, reference: Reference) -> Path:
        if isinstance(reference, Digest):
            name = f"digest-{reference.algorithm}-{reference.encoded}"
        else:
            name = f"tag-{reference.name}"
        return self._folder / repository.registry / repository.name / "@" / name
