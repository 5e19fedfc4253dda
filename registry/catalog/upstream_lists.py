"""Lists that upstreams returned: the tags of a repository, the referrers of a digest."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from registry.catalog.database import Database
from registry.oci.names import Repository

# The subject under which a list of one boolean says whether a repository has the referrers API.
# With the name of a registry instead of a repository, it says so of the registry.
_REFERRERS_API = "referrers"
_TRUE, _FALSE = "[true]", "[false]"
_INSERT = "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)"
_INSERT_FIRST = "INSERT OR IGNORE INTO lists VALUES (?, ?, ?, ?)"
# Appended to the subject of a list: the row says why entries of the list may be missing.
_WARNING = " warning"


@dataclass(frozen=True, slots=True)
class UpstreamListRecord:
    """A list of JSON values, and when the upstream returned it (epoch seconds).

    `warning` says why entries may be missing (empty: none is).
    """

    entries: list[Any]
    checked: float
    warning: str = ""


class UpstreamListCatalog:
    """Rows by repository and subject: `tags`, or the digest that the referrers refer to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, repository: Repository, subject: str) -> UpstreamListRecord | None:
        """Return the last recorded list of a subject; None if there is none."""
        rows = self._database.read(
            "SELECT subject, body, checked FROM lists WHERE repository = ? AND subject IN (?, ?)",
            (str(repository), subject, subject + _WARNING),
        )
        found = {row[0]: row for row in rows}
        if subject not in found:
            return None
        _, body, checked = found[subject]
        warning = found.get(subject + _WARNING)
        return UpstreamListRecord(
            json.loads(body), checked, "" if warning is None else json.loads(warning[1])[0]
        )

    async def record(
        self,
        repository: Repository,
        subject: str,
        entries: list[Any],
        now: float,
        *,
        warning: str = "",
    ) -> None:
        """Record a list; it replaces the earlier list of the same subject."""
        body = json.dumps(entries, separators=(",", ":"))

        def write(rows: sqlite3.Connection) -> None:
            rows.execute(_INSERT, (str(repository), subject, body, now))
            key = (str(repository), subject + _WARNING)
            if warning:
                rows.execute(_INSERT, (*key, json.dumps([warning]), now))
            else:
                rows.execute("DELETE FROM lists WHERE repository = ? AND subject = ?", key)

        await self._database.write(write)

    def find_referrers_api(self, repository: Repository) -> tuple[bool, float] | None:
        """Return whether the upstream has the referrers API, and when it said so (epoch seconds).

        None if the upstream was never asked for referrers of this repository.
        """
        record = self.find(repository, _REFERRERS_API)
        return None if record is None else (record.entries == [True], record.checked)

    def has_referrers_api(self, registry: str) -> bool | None:
        """Whether a repository of a registry has the referrers API; None if none was asked."""
        rows = self._database.read(
            "SELECT body FROM lists WHERE repository = ? AND subject = ?",
            (registry, _REFERRERS_API),
        )
        return rows[0][0] == _TRUE if rows else None

    async def record_referrers_api(
        self, repository: Repository, now: float, *, is_supported: bool
    ) -> None:
        """Record whether the upstream has the referrers API for `repository`.

        A registry has it if one of its repositories has: another may answer 404 because it is not
        there.
        """
        body = _TRUE if is_supported else _FALSE

        def write(rows: sqlite3.Connection) -> None:
            rows.execute(_INSERT, (str(repository), _REFERRERS_API, body, now))
            insert = _INSERT if is_supported else _INSERT_FIRST
            rows.execute(insert, (repository.registry, _REFERRERS_API, body, now))

        await self._database.write(write)
