"""What `entrepot setup` has written, so that it can be undone: `setup.json`. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, get_args

from registry.clients.edits import AddItem, AddRegistry, Edit, Kind, SetValue
from registry.settings.values import Refusal

_VERSION = 1
_EDITS = {"set": SetValue, "item": AddItem, "registry": AddRegistry}.items()


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that was written.

    `edits` are what each client needs in it. `written` is the SHA-256 of the content that was
    written. `copy` is the path of its content without the edits; None if there was no such file.
    """

    kind: Kind
    edits: Mapping[str, tuple[Edit, ...]]
    written: str
    copy: PurePosixPath | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All files that `--write` has written, in this order, and how clients restart after `--undo`.

    `folders` were made for the files, and for the record itself.
    """

    files: Mapping[PurePosixPath, FileRecord] = field(default_factory=dict)
    restarts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folders: tuple[PurePosixPath, ...] = ()


def format_record(record: Record) -> str:
    """Return the text of the file."""
    files = {
        str(path): {
            "kind": each.kind,
            "edits": {
                client: [_dump(edit) for edit in edits] for client, edits in each.edits.items()
            },
            "written": each.written,
            "copy": str(each.copy) if each.copy else None,
        }
        for path, each in record.files.items()
    }
    document = {
        "version": _VERSION,
        "files": files,
        "restarts": {client: list(commands) for client, commands in record.restarts.items()},
        "folders": [str(folder) for folder in record.folders],
    }
    return json.dumps(document, indent=2) + "\n"


def _dump(edit: Edit) -> dict[str, Any]:
    kind = next(name for name, each in _EDITS if isinstance(edit, each))
    return {"edit": kind, **asdict(edit)}


def parse_record(text: str) -> Record:
    """Read the file.

    Raises:
        Refusal: it is damaged, or of a newer version.
    """
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            cure = "undo it with the version of Entrepôt that has written it"
            raise Refusal("it is of another version", cure)
        return Record(
            {PurePosixPath(path): _load_file(each) for path, each in document["files"].items()},
            {client: tuple(map(str, each)) for client, each in document["restarts"].items()},
            tuple(map(PurePosixPath, document["folders"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, Refusal):
            raise
        cure = (
            "delete it, and remove what was written by hand; copies end with .entrepot- and a time"
        )
        raise Refusal("it is damaged", cure) from error


def _load_file(document: Any) -> FileRecord:
    if document["kind"] not in get_args(Kind):
        raise ValueError(document["kind"])
    edits = {
        str(client): tuple(_load(edit) for edit in each)
        for client, each in document["edits"].items()
    }
    copy = PurePosixPath(document["copy"]) if document["copy"] else None
    return FileRecord(document["kind"], edits, str(document["written"]), copy)


def _load(document: Mapping[str, Any]) -> Edit:
    match document:
        case {"edit": "set", "place": place, "value": value, "is_first": is_first}:
            known = tuple(value) if isinstance(value, list) else value
            return SetValue(tuple(place), known, bool(is_first))
        case {"edit": "item", "place": place, "item": item}:
            return AddItem(tuple(place), str(item))
        case {"edit": "registry", "prefix": prefix, "mirror": mirror, "is_insecure": is_insecure}:
            return AddRegistry(str(prefix), str(mirror), bool(is_insecure))
    raise ValueError(document)
