"""`entrepot pulls`: who has pulled what, as the access records say."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.messages import MISUSED, fail, warn
from registry.cli.numbers import read_number
from registry.cli.printing import print_report
from registry.cli.session import Config, Json, Session, operate
from registry.cli.tables import Table, make_table
from registry.cli.terminal import format_bytes, format_count, format_moment
from registry.oci.image_patterns import ImagePattern
from registry.reports.recorded_pulls import RecordedPullReport, RecordedPullsReport
from registry.settings.values import Refusal, parse_duration

if TYPE_CHECKING:
    from registry.access.records import AccessRecord, AnswerFacts

_LIMIT = 50  # pulls that are shown
_MOST = 100_000  # pulls that are shown at most; all of them are in memory
_ANONYMOUS = "anonymous"
_NO_PROOF, _WRONG_PROOF = "none", "wrong"

_Repo = Annotated[
    str | None,
    typer.Option(
        "--repo", metavar="PATTERN", help="Only repositories that match, such as ghcr.io/*."
    ),
]
_User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Only this user or token, or anonymous."),
]
_Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="How far back, such as 12h, 90d or forever.")
]
_Refused = Annotated[bool, typer.Option("--refused", help="Only what was refused.")]
_Limit = Annotated[
    int,
    typer.Option(
        "--limit",
        metavar="N",
        parser=read_number(1, _MOST),
        help="How many pulls are shown, the latest first.",
    ),
]


def build_pulls_app() -> typer.Typer:
    """Return the sub-command `pulls`."""
    app = typer.Typer(help="Show who has pulled what.", no_args_is_help=True)
    app.command("ls")(list_pulls)
    return app


def list_pulls(
    repo: _Repo = None,
    user: _User = None,
    since: _Since = "7d",
    *,
    refused: _Refused = False,
    limit: _Limit = _LIMIT,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List who has pulled what, when, how much, and by which rule, the latest first.

    Example: entrepot pulls ls --repo 'ghcr.io/*' --since 30d
    """
    period = _read_period(since)

    async def work(session: Session) -> bool:
        wanted = _choose(session, repo, user, refused=refused)
        report = _gather(session, wanted, period, limit)
        print_report(report, lambda found: draw_pulls(found, since, limit), as_json=as_json)
        if report.damaged:
            warn(f"{format_count(report.damaged, 'line')} of the records cannot be read")
        if not session.settings.access.records:
            warn("nothing is recorded now: write records = true in [access]")
        return True

    operate(config, work)


def _read_period(text: str) -> float:
    try:
        return parse_duration(text)
    except Refusal as refusal:
        fail(f"--since: {refusal}", MISUSED)


def _choose(
    session: Session, repo: str | None, user: str | None, *, refused: bool
) -> Callable[["AccessRecord"], bool]:
    """Return whether a record is wanted."""
    names = ("*",) if repo is None else _read_repositories(session, repo)

    def is_wanted(record: "AccessRecord") -> bool:
        facts = record.facts
        if refused and not facts.is_refused:
            return False
        is_there = any(fnmatchcase(facts.repository, name) for name in names)
        return is_there and _is_of(user, facts)

    return is_wanted


def _is_of(user: str | None, facts: "AnswerFacts") -> bool:
    """Whether an answer went to a user; without one, it did in any case."""
    if user == _ANONYMOUS:
        return not facts.user and bool(facts.proof)
    return user is None or facts.user == user


def _read_repositories(session: Session, text: str) -> tuple[str, ...]:
    pattern = ImagePattern.parse(text, session.settings.registries)
    if pattern.references != "*":
        fail(f"--repo: {text[:80]!r} names a tag or a digest; name a repository", MISUSED)
    return pattern.names


def _gather(
    session: Session, is_wanted: Callable[["AccessRecord"], bool], period: float, limit: int
) -> RecordedPullsReport:
    from registry.access.recorded_pulls import gather_pulls  # noqa: PLC0415
    from registry.wiring.access import open_record_reader  # noqa: PLC0415

    reader = open_record_reader(session.settings)
    since = 0.0 if math.isinf(period) else time.time() - period
    found = gather_pulls(filter(is_wanted, reader.read(since)), limit)
    pulls = [RecordedPullReport(**asdict(each)) for each in found.pulls]
    return RecordedPullsReport(pulls, found.has_more, reader.damaged)


def draw_pulls(report: RecordedPullsReport, since: str, limit: int) -> Iterator[str | Table]:
    """Yield the table, and how to see more; `since` and `limit` are those of the command."""
    if not report.pulls:
        longer = "" if since == "forever" else "; to look further back: --since forever"
        yield f"no such pulls are recorded{longer}"
        return
    table = make_table(
        *("when", "user", "client", "amount", "rule", "image"),
        numbers=["amount"],
        names="image",
        whole=["when"],
        breakable=["user", "client"],
    )
    for pull in report.pulls:
        table.add_row(
            format_moment(pull.ended),
            _format_user(pull),
            pull.client or "-",
            _format_amount(pull),
            _format_rule(pull),
            _format_images(pull),
        )
    yield table
    if report.has_more:
        yield f"there are older ones; to show more: --limit {min(10 * limit, _MOST)}"


def _format_user(pull: RecordedPullReport) -> str:
    return pull.user or (_ANONYMOUS if pull.proof == _NO_PROOF else "-")


def _format_rule(pull: RecordedPullReport) -> str:
    if pull.proof == _WRONG_PROOF:
        return "wrong login"
    return ", ".join(pull.rules) or ("no rule" if pull.outcome == "refused" else "-")


def _format_amount(pull: RecordedPullReport) -> str:
    if pull.outcome != "served":
        return pull.outcome
    size = pull.manifest_bytes + pull.blob_bytes
    return format_bytes(size) if size else "checked"


def _format_images(pull: RecordedPullReport) -> str:
    """Return what was asked for: the tags, else the digests, else the repository."""
    if pull.tags:
        return "\n".join(f"{pull.repository}:{tag}" for tag in pull.tags)
    if pull.digests:
        return "\n".join(f"{pull.repository}@{digest}" for digest in pull.digests)
    return pull.repository or "-"
