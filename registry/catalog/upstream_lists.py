"""Lists that upstreams returned: the tags of a repository, the referrers of a digest."""

import json
from dataclasses import dataclass
from typing import Any

from registry.catalog.database import Database
from registry.oci.names import Repository

# The subject under which a list of one boolean says whether a repository has the referrers API.
_REFERRERS_API = "referrers"


@dataclass(frozen=True, slots=True)
class UpstreamListRecord:
    """A list of JSON values, and when the upstream returned it (epoch seconds)."""

    entries: list[Any]
    checked: float


class UpstreamListCatalog:
    """Rows by repository and subject: `tags`, or the digest that the referrers refer to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, repository: Repository, subject: str) -> UpstreamListRecord | None:
        """Return the last recorded list of a subject; None if there is none."""
        rows = self._database.read(
            "SELECT body, checked FROM lists WHERE repository = ? AND subject = ?",
            (str(repository), subject),
        )
        return UpstreamListRecord(json.loads(rows[0][0]), rows[0][1]) if rows else None

    async def record(
        self, repository: Repository, subject: str, entries: list[Any], now: float
    ) -> None:
        """Record a list; it replaces the earlier list of the same subject."""
        body = json.dumps(entries, separators=(",", ":"))
        await self._database.write(
            lambda rows: rows.execute(
                "INSERT OR REPLACE INTO lists VALUES (?, ?, ?, ?)",
                (str(repository), subject, body, now),
            )
        )

    def find_referrers_api(self, repository: Repository) -> tuple[bool, float] | None:
        """Return whether the upstream has the referrers API, and when it said so (epoch seconds).

        None if the upstream was never asked for referrers of this repository.
        """
        record = self.find(repository, _REFERRERS_API)
        return None if record is None else (record.entries == [True], record.checked)

    async def record_referrers_api(
        self, repository: Repository, now: float, *, is_supported: bool
    ) -> None:
        """Record whether the upstream has the referrers API for `repository`."""
        await self.record(repository, _REFERRERS_API, [is_supported], now)
