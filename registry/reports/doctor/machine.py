"""What is found of the data folder and of the processes of a server. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry.reports.doctor.findings import SERVER, Finding, State, skip
from registry.settings.model import Settings
from registry.settings.values import format_bytes

FEW_INODES = 0.05  # the part of the inodes below which they may soon be used up
SLOW_SYNC = 0.5  # seconds for which an fsync of a small file counts as slow
OLD_AUDIT = 14 * 86_400.0  # seconds, as in config/prometheus/alerts.yml
DAY = 86_400.0
# File systems of a network, on which locks of other machines may not be seen, or nothing is synced.
_NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs"})
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What the file system of a data folder says; sizes are in bytes, `sync` is in seconds.

    `inodes` are None for a file system that has no fixed number of them. `why_not` is why the
    folder cannot be written (empty: it can).
    """

    path: str
    kind: str
    total: int
    free: int
    used: int | None
    inodes: tuple[int, int] | None
    sync: float
    why_not: str = ""


def judge_disk(disk: DiskFacts, settings: Settings) -> list[Finding]:
    """Return what is found of the disk: can it be written, is there space, is it fit for this."""
    if disk.why_not:
        sentence = f"The data folder {disk.path} cannot be written."
        cure = f"ls -ld {disk.path} && df -h {disk.path}"
        return [Finding("disk", "fail", sentence, (disk.why_not,), cure, SERVER)]
    return [_judge_space(disk, settings), _judge_file_system(disk)]


def _judge_space(disk: DiskFacts, settings: Settings) -> Finding:
    storage = settings.storage
    free, reserve = format_bytes(disk.free), format_bytes(storage.reserve)
    evidence: tuple[str, ...] = (f"{free} of {format_bytes(disk.total)} free at {disk.path}",)
    if disk.free < storage.reserve:
        sentence = f"The disk has {free} free, and storage.reserve wants {reserve}."
        cure = "entrepot cache evict --to SIZE, or delete other files on that disk"
        return Finding("disk space", "fail", sentence, evidence, cure, SERVER)
    if disk.inodes is not None and disk.inodes[1] < FEW_INODES * disk.inodes[0]:
        sentence = f"The disk has {disk.inodes[1]} of {disk.inodes[0]} inodes left."
        cure = f"df -i {disk.path}"
        return Finding("disk space", "warn", sentence, evidence, cure, SERVER)
    reachable = disk.free - storage.reserve + (disk.used or 0)
    if disk.used is not None and storage.limit > reachable:
        limit, most = format_bytes(storage.limit), format_bytes(max(0, reachable))
        sentence = f"storage.limit is {limit}, and the disk has space for {most}."
        cure = f'write storage.limit = "{max(1, reachable >> 30)}GiB" in the settings'
        evidence = (*evidence, f"used by this mirror: {format_bytes(disk.used)}")
        return Finding("disk space", "warn", sentence, evidence, cure, SERVER)
    return Finding("disk space", "ok", f"The disk has {free} free.", evidence)


def _judge_file_system(disk: DiskFacts) -> Finding:
    evidence = (f"{disk.path} is on {disk.kind}", f"fsync of a small file: {disk.sync:.3f} s")
    state: State = "warn"
    if disk.kind in _NETWORKED:
        sentence = f"The data folder is on {disk.kind}, a file system of a network."
        cure = "move the data folder to a local disk: storage.path"
    elif disk.kind in _IN_MEMORY:
        sentence = f"The data folder is on {disk.kind}: a restart of the machine deletes it."
        cure = "move the data folder to a disk: storage.path"
    elif disk.sync > SLOW_SYNC:
        sentence = f"The disk takes {disk.sync:.1f} s to write one small file."
        cure = "iostat -x 1 5"
    else:
        state, cure = "ok", ""
        sentence = f"The data folder is on {disk.kind}, and a file is written in time."
    return Finding("file system", state, sentence, evidence, cure, SERVER if cure else "")


def judge_catalog(*, sound: bool | None, seconds: float, path: str) -> Finding:
    """Return whether the catalog can be read; `sound` is None if there was no time for that."""
    if sound is None:
        why = f"The catalog was not read to its end within {seconds:.0f} s; no damage was found."
        return skip("catalog", why)
    if sound:
        return Finding("catalog", "ok", "The catalog is sound.", (path,))
    sentence = "The catalog is damaged; a restart makes it again from the files."
    cure = "systemctl restart entrepot"
    return Finding("catalog", "fail", sentence, (path,), cure, SERVER)


def judge_audit(ended: float, began: float, now: float, settings: Settings) -> Finding:
    """Return when the blobs were last verified; times are in epoch seconds, 0 means never."""
    if not settings.storage.audit_rate:
        sentence = "No audit looks for damaged blobs: storage.audit_rate = 0."
        cure = "entrepot cache audit"
        return Finding("audit", "warn", sentence, (), cure, SERVER)
    since = now - (ended or began)
    if not ended and not began:
        return Finding("audit", "ok", "The first audit of the blobs has not begun yet.")
    days = f"{since / DAY:.0f} days"
    sentence = f"The audit of the blobs has begun {days} ago, and has not ended."
    if ended:
        sentence = f"The blobs were last verified {days} ago."
    if since > OLD_AUDIT:
        return Finding("audit", "warn", sentence, (), "entrepot cache audit", SERVER)
    return Finding("audit", "ok", sentence)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What is known of the server of a data folder.

    `consoles` are those of all that run. `listens` is whether somebody accepts connections at
    `server.listen`, and `owner` who else does. `unready` is why the server cannot answer some
    pulls. `version` is its own, as its answers say (empty: not known), `workers` how many answer
    (None: not known), and `replaced` how many processes have died or did not answer.
    """

    address: str
    data: str
    consoles: Sequence[str] = ()
    listens: bool = False
    owner: str = ""
    unready: str = ""
    version: str = ""
    workers: int | None = None
    replaced: int = 0


def judge_server(facts: ServerFacts, version: str) -> list[Finding]:
    """Return whether the server runs, listens, answers, and is of this version."""
    if not facts.consoles:
        return [_judge_stopped(facts)]
    found = [_judge_port(facts), _judge_workers(facts)]
    if facts.version and facts.version != version:
        sentence = f"The server is of version {facts.version}, and this command of {version}."
        cure = "systemctl restart entrepot"
        found.append(Finding("version", "warn", sentence, (), cure, SERVER))
    else:
        found.append(Finding("version", "ok", f"The version is {version}."))
    return found


def _judge_stopped(facts: ServerFacts) -> Finding:
    evidence: tuple[str, ...] = (f"data folder {facts.data}",)
    if facts.listens:
        sentence = "No server is running on this data folder, and another program has its port."
        who = facts.owner or "it cannot be seen by this user which one"
        evidence = (*evidence, f"{facts.address}: {who}")
        port = facts.address.rpartition(":")[2]
        cure = f"ss -ltnp 'sport = :{port}'"
        return Finding("server", "fail", sentence, evidence, cure, SERVER)
    sentence = "No server is running on this data folder."
    return Finding("server", "fail", sentence, evidence, "entrepot serve", SERVER)


def _judge_port(facts: ServerFacts) -> Finding:
    evidence = (f"data folder {facts.data}", f"server.listen = {facts.address}")
    if not facts.listens:
        sentence = f"A server is running, but nobody listens at {facts.address}."
        cure = "systemctl restart entrepot"
        return Finding("server", "fail", sentence, evidence, cure, SERVER)
    return Finding(
        "server", "ok", f"A server is running, and listens at {facts.address}.", evidence
    )


def _judge_workers(facts: ServerFacts) -> Finding:
    count = "" if facts.workers is None else f"{facts.workers} workers answer"
    evidence = tuple(filter(None, (count, f"{facts.replaced} processes were replaced")))
    if facts.unready:
        sentence = f"The server cannot answer all pulls: {facts.unready}."
        cure = "journalctl -u entrepot -n 100"
        return Finding("workers", "fail", sentence, evidence, cure, SERVER)
    if facts.replaced:
        sentence = f"{facts.replaced} processes of the server have died, and were replaced."
        cure = "journalctl -u entrepot | grep -i 'process'"
        return Finding("workers", "warn", sentence, evidence, cure, SERVER)
    return Finding("workers", "ok", "All pulls can be answered.", evidence)


def judge_certificates(
    ends: Mapping[str, tuple[str, float]], now: float, gap: str = ""
) -> list[Finding]:
    """Return what is found of certificates: by setting, the file, and when it ends (epoch).

    `gap` says where the chain of the server is broken (empty: it is whole).
    """
    found = [_judge_end(setting, path, end - now) for setting, (path, end) in ends.items()]
    if not gap:
        return found
    sentence = f"The chain of certificates of server.tls_cert is broken: {gap}."
    cure = "put the certificates into the file in their order, that of the server first"
    return [*found, Finding("TLS", "warn", sentence, (), cure, SERVER)]


def _judge_end(setting: str, path: str, left: float) -> Finding:
    days = f"{abs(left) / DAY:.0f} days"
    cure = "entrepot tls self-signed, or get another one from your authority"
    if left <= 0:
        sentence = f"The certificate of {setting} has ended {days} ago."
        return Finding("TLS", "fail", sentence, (path,), cure, SERVER)
    if left < 30 * DAY:
        sentence = f"The certificate of {setting} ends in {days}."
        return Finding("TLS", "warn", sentence, (path,), cure, SERVER)
    return Finding("TLS", "ok", f"The certificate of {setting} ends in {days}.", (path,))


def judge_openness(settings: Settings) -> Finding:
    """Return whether everybody who reaches the server can pull private images from it."""
    host = settings.server.listen.host
    private = [name for name, each in settings.upstreams.items() if each.username]
    evidence = (
        f"server.listen = {settings.server.listen}",
        f"access.mode = {settings.access.mode}",
    )
    if settings.access.mode != "open" or not private or _is_loopback(host):
        return Finding("access", "ok", "Private images are not open to everybody.", evidence)
    names = ", ".join(private)
    sentence = f"Everybody who reaches this server can pull what your login of {names} may pull."
    cure = 'write access.mode = "users" in the settings, or listen at 127.0.0.1'
    return Finding("access", "warn", sentence, evidence, cure, "docs/access.md")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
