"""Lists that upstreams returned: the tags of a repository, the referrers of a digest.

Clients may ask for the lists of any name and of any digest, also of those that do not exist. So a
list of something that is not stored here is kept only if it is short, and only the newest of them
are.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from registry.catalog.database import Database
from registry.oci.names import Repository

MAX_BODY = 4 * 1024 * 1024  # bytes of a list that is recorded: more than 100,000 tags
MAX_OTHER_BODY = 64 * 1024  # bytes, if its repository or its digest is not stored here
MAX_OTHERS = 1000  # lists of what is not stored here
PRUNED_AFTER = 100  # such lists that a process records before it deletes the oldest

# The subject under which a list of one boolean says whether a repository has the referrers API.
# With the name of a registry instead of a repository, it says so of the registry.
_REFERRERS_API = "referrers"
_TRUE, _FALSE = "[true]", "[false]"
_INSERT = "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)"
_INSERT_FIRST = "INSERT OR IGNORE INTO lists VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM lists WHERE repository = ? AND subject IN (?, ?)"
# Appended to the subject of a list: the row says why entries of the list may be missing.
_WARNING = " warning"
# Whether the subject is stored here: a digest, or anything of the repository.
_IS_HELD = (
    "SELECT 1 FROM holdings AS h WHERE h.repository = :repository"
    " AND (instr(:subject, ':') = 0 OR h.digest = :subject) LIMIT 1"
)
# The rows of which that is not true, without the newest; rows of registries stay.
_PRUNE = (
    "DELETE FROM lists WHERE (repository, subject) IN ("
    "SELECT repository, subject FROM lists AS l WHERE instr(l.repository, '/') > 0"
    " AND NOT EXISTS (SELECT 1 FROM holdings AS h WHERE h.repository = l.repository AND"
    " (instr(l.subject, ':') = 0 OR l.subject IN (h.digest, h.digest || ' warning')))"
    " ORDER BY checked DESC LIMIT -1 OFFSET ?)"
)


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
        self._others = 0  # lists that were recorded here of what is not stored

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

    def is_longer(self, repository: Repository, subject: str, size: int) -> bool:
        """Whether the recorded list of a subject has more characters than `size` as JSON."""
        rows = self._database.read(
            "SELECT 1 FROM lists WHERE repository = ? AND subject = ? AND length(body) > ?",
            (str(repository), subject, size),
        )
        return bool(rows)

    async def record(
        self,
        repository: Repository,
        subject: str,
        entries: list[Any],
        now: float,
        *,
        warning: str = "",
    ) -> None:
        """Record a list; it replaces the earlier list of the same subject.

        A list that is too long is not recorded, and the earlier one is deleted.
        """
        body = json.dumps(entries, separators=(",", ":"))
        key = (str(repository), subject, subject + _WARNING)

        def write(rows: sqlite3.Connection) -> None:
            is_held = self._is_held(rows, repository, subject)
            rows.execute(_DELETE, key)
            if len(body) > (MAX_BODY if is_held else MAX_OTHER_BODY):
                return
            rows.execute(_INSERT, (*key[:2], body, now))
            if warning:
                rows.execute(_INSERT, (key[0], key[2], json.dumps([warning]), now))
            if not is_held:
                self._prune(rows)

        await self._database.write(write)

    def _is_held(self, rows: sqlite3.Connection, repository: Repository, subject: str) -> bool:
        wanted = {"repository": str(repository), "subject": subject}
        return rows.execute(_IS_HELD, wanted).fetchone() is not None

    def _prune(self, rows: sqlite3.Connection) -> None:
        """Delete the oldest lists of what is not stored, every now and then."""
        self._others += 1
        if self._others % PRUNED_AFTER == 0:
            rows.execute(_PRUNE, (MAX_OTHERS,))

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
            if not self._is_held(rows, repository, _REFERRERS_API):
                self._prune(rows)

        await self._database.write(write)
