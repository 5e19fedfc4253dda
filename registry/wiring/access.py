"""Builds what knows who asks, and decides who is let through."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from registry.access.accounts_file import LiveAccounts
from registry.access.certificate_expiry import ExpiryWatch
from registry.access.challenges import Challenges
from registry.access.control import AccessControl
from registry.access.last_uses import UseFiles, UseRecorder
from registry.access.login_limit import (
    TOKEN_BURST,
    TOKEN_FLOOD,
    TOKEN_RATE,
    WRONG_CREDENTIALS,
    WRONG_PASSWORDS,
    LoginLimit,
)
from registry.access.networks import Networks
from registry.access.proxies import TrustedProxies
from registry.access.record_collector import RecordCollector
from registry.access.record_files import RecordFiles
from registry.access.records import RecordGroup
from registry.access.rules import Rule, Rules
from registry.access.shown_addresses import ShowAddress, choose_form
from registry.access.signed_tokens import TokenSigner, open_key
from registry.metrics.process_metrics import Metrics
from registry.settings.client_networks import find_network
from registry.settings.model import Settings
from registry.store.data_folder import DataFolder
from registry.store.file_locks import ExclusiveLocks
from registry.tasks import Tasks

if TYPE_CHECKING:
    from registry.access.account_changes import AccountChanges
    from registry.access.operator_accounts import OperatorAccounts
    from registry.access.operators import Operators
    from registry.access.record_reader import RecordReader


# Of so many equal parts of the space for records, one is for failures of clients that have proved
# nothing, and with users another one for what such clients have pulled.
ANYBODYS_SHARE = 4


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, what they may do, and who is asked to log in."""

    control: AccessControl
    rules: Rules
    challenges: Challenges


def build_access(settings: Settings, folder: DataFolder, metrics: Metrics) -> Access:
    """Build it for one process.

    Raises:
        StoreError: the accounts or the key cannot be read.
    """
    # Only here: it needs a library that other servers do not need.
    from registry.access.passwords import PasswordChecks  # noqa: PLC0415

    access = settings.access
    show_address = build_show_address(settings)
    make = partial(LoginLimit, find_network, show_address=show_address)
    note_refused = metrics.refused_requests.labels("logins").inc
    control = AccessControl(
        LiveAccounts(folder.accounts),
        TokenSigner(open_key(folder.token_key)),
        Networks(access.networks),
        PasswordChecks(make(event=WRONG_PASSWORDS), note_refused),
        guesses=make(event=WRONG_CREDENTIALS),
        tokens=make(event=TOKEN_FLOOD, rate=TOKEN_RATE, burst=TOKEN_BURST),
    )
    return Access(control, build_rules(settings), Challenges(access.login_hosts))


def build_operators(settings: Settings, folder: DataFolder, metrics: Metrics) -> "Operators | None":
    """Return who may use the console; None if there are no accounts.

    Raises:
        StoreError: the accounts or the key cannot be read.
    """
    from registry.access.operators import Operators  # noqa: PLC0415 - for pages

    if settings.access.mode == "open":
        return None
    uses = UseRecorder(UseFiles(folder.last_uses))
    return Operators(build_access(settings, folder, metrics).control, uses)


def build_operator_accounts(settings: Settings, locks: ExclusiveLocks) -> "OperatorAccounts | None":
    """Return what changes accounts for operators in the console; None if there are no accounts."""
    if settings.access.mode == "open":
        return None
    from registry.access.operator_accounts import OperatorAccounts  # noqa: PLC0415 - for pages

    return OperatorAccounts(open_accounts(settings, locks))


def build_proxies(settings: Settings) -> TrustedProxies:
    """Return the reverse proxies in front of this mirror, which are believed."""
    return TrustedProxies(settings.server.trusted_proxies)


def build_rules(settings: Settings) -> Rules:
    """Return the rules in the settings; registries with a password are private."""
    private = [name for name, upstream in settings.upstreams.items() if upstream.username]
    rules = [
        Rule.parse(
            f"access.rules[{number}]",
            each.who,
            each.allow or each.deny,
            settings.registries,
            is_allowed=bool(each.allow),
            actions=each.actions,
        )
        for number, each in enumerate(settings.access.rules, 1)
    ]
    return Rules(rules, private)


def build_show_address(settings: Settings) -> ShowAddress:
    """Return what makes of the address of a client what is kept of it."""
    return choose_form(settings.access.addresses)


def build_expiry_watch(servers: Mapping[str, Path], authorities: Mapping[str, Path]) -> ExpiryWatch:
    """Return what warns before certificates end; the files are by the settings that name them."""
    return ExpiryWatch(servers, authorities)


def build_record_files(settings: Settings, folder: DataFolder) -> Mapping[RecordGroup, RecordFiles]:
    """Return the files of access records for one process.

    Those that anybody can make grow have a part of the space for themselves.
    """
    build = partial(RecordFiles, folder.access_records, settings.access.records_for)
    limit = settings.access.records_limit
    share = limit // ANYBODYS_SHARE
    taken = 2 * share if settings.access.mode == "users" else share
    sizes = {
        RecordGroup.ACCESS: limit - taken,
        RecordGroup.FAILURES: share,
        RecordGroup.ANONYMOUS: share,
    }
    return {group: build(size, group=group) for group, size in sizes.items()}


@asynccontextmanager
async def open_uses(settings: Settings, folder: DataFolder) -> AsyncIterator[UseRecorder | None]:
    """Collect when accounts are used, and write that until the end; None: there are none."""
    if settings.access.mode == "open":
        yield None
        return
    recorder = UseRecorder(UseFiles(folder.last_uses))
    async with Tasks() as tasks:
        tasks.keep(recorder.keep_writing())
        yield recorder


@asynccontextmanager
async def open_records(
    settings: Settings,
    folder: DataFolder,
    metrics: Metrics,
    note_use: Callable[[str], None] | None = None,
) -> AsyncIterator[RecordCollector | None]:
    """Collect the access records of a worker, and write them until the end; None: not wanted.

    `note_use` is told the names of those who have pulled.
    """
    if not settings.access.records:
        yield None
        return
    files = build_record_files(settings, folder)
    with ExitStack() as opened:
        for each in files.values():
            opened.enter_context(closing(each))
        collector = RecordCollector(files, metrics.lost_records.inc, note_use=note_use)
        async with Tasks() as tasks:
            tasks.keep(collector.keep_writing())
            yield collector


def open_record_reader(settings: Settings) -> "RecordReader":
    """Return what reads the access records of a data folder."""
    from registry.access.record_reader import RecordReader  # noqa: PLC0415 - for commands

    return RecordReader(DataFolder(settings.storage.path.absolute()).access_records)


def open_accounts(settings: Settings, locks: ExclusiveLocks) -> "AccountChanges":
    """Return what changes the accounts of a data folder; `locks` are those of the folder."""
    from registry.access.account_changes import AccountChanges  # noqa: PLC0415 - for commands

    folder = DataFolder(settings.storage.path.absolute())
    return AccountChanges(folder.accounts, locks, UseFiles(folder.last_uses))
