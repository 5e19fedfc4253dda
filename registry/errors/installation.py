"""Errors of this installation: its data folder and its settings."""

from registry.errors.root import EntrepotError


class StoreError(EntrepotError):
    """The disk refused an operation on `path`; `why` is the message of the operating system."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class StoreFull(StoreError):
    """There is no space for a blob; `why` says which limit is the reason, and what helps."""


class MediumUnreadable(StoreError):
    """A file of a bundle that is served cannot be read, for example as its medium was pulled out.

    What was read from it before is right, and nothing of it is damaged.
    """


class StoreTooNew(StoreError):
    """A newer version has written the data folder, which has the layout `found`."""

    def __init__(self, path: str, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            path,
            f"was written by a newer Entrepôt (layout {found}; this version knows {known}); "
            "run that version, or set storage.path to another folder",
        )


class CatalogLost(StoreError):
    """The catalog is missing, damaged, or was replaced: it has to be made again from the files.

    `damage` says what SQLite has found; it is empty if the file is missing or another one.
    """

    def __init__(self, path: str, damage: str = "") -> None:
        self.damage = damage
        what = f"is damaged ({damage})" if damage else "is lost"
        cure = "a running server makes it again, and otherwise start `entrepot serve`"
        super().__init__(path, f"{what}; {cure}")


class SettingsError(EntrepotError):
    """A setting `key` that cannot be used; `why` is the reason, and `cure` says what to do.

    `file` is the path of the settings file that has it, and the line: `/etc/entrepot.toml:7`. It is
    empty if that is not known, or no file.
    """

    def __init__(self, key: str, why: str, cure: str, file: str = "") -> None:
        self.key, self.why, self.cure, self.file = key, why, cure, file
        where = f"{file}: " if file else ""
        super().__init__(f"{where}{key}: {why}; {cure}")
