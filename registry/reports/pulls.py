"""Pulls as people see them, made of the log lines of requests (decision record 0023). Pure.

A pull is what one client asks for in one repository until it asks for nothing more: manifests, the
config, and layers, over several connections and from several workers.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from registry.oci.names import Tag
from registry.oci.referrers_tags import is_referrers_tag

QUIET = 1.0  # seconds without a request after which a pull is over
REMEMBERED = 600.0  # seconds for which a client's last image of a repository is remembered
_LEFT = 499  # the status of a client that left early, as containerd does with each part of a layer
MISS, JOINED, STALE = "miss", "joined", "stale"  # as the log has them (mirror/cache_status.py)
_SHORT = 12  # digits of a digest in the name of an image


@dataclass(frozen=True, slots=True)
class PullReport:
    """A pull that is over: `sent` bytes went to `client` within `seconds`.

    Of these bytes, `downloaded` were downloaded for this pull, and `shared` for another pull at the
    same time; the others were stored here before. `is_stale` says that the upstream did not say
    whether the image is current. `failure` is the error of a request that did not get what it asked
    for. `is_unstored` says that a blob is not stored here, because the disk has no space for it.
    `unsent` bytes are missing of the blobs that the client asked for, because it left before.
    """

    image: str
    client: str
    sent: int
    downloaded: int
    shared: int
    seconds: float
    is_stale: bool
    failure: str
    is_unstored: bool = False
    unsent: int = 0

    @property
    def origin(self) -> str:
        """Where the bytes were, in a few words."""
        return f"{self._source}, not stored" if self.is_unstored else self._source

    @property
    def _source(self) -> str:
        if not self.sent:
            return "checked"
        stored = self.sent - self.downloaded - self.shared
        if stored == self.sent:
            return "cached"
        if share := 100 * stored // self.sent:
            return f"{share}% cached"
        return "shared download" if self.shared > self.downloaded == 0 else "downloaded"


@dataclass(frozen=True, slots=True)
class OpenPull:
    """A pull that is not over, and how many of its requests are being answered now."""

    image: str
    client: str
    requests: int


@dataclass(slots=True)
class _Pull:
    """What is known of a pull until now; `open` has the requests that are being answered.

    `fetched` has the origin of what was downloaded, by the path of a blob; manifests are one entry,
    because a client asks for a tag by HEAD, and then for its digest. `failures` are by the path.
    `got` has the bytes of each blob that were sent, `sizes` the sizes of those of which an answer
    was not read to its end: the rest may come by other requests.
    """

    began: float
    last: float
    names: dict[str, None] = field(default_factory=dict)
    digest: str = ""
    sent: Counter[str] = field(default_factory=Counter)
    fetched: dict[str, str] = field(default_factory=dict)
    is_stale: bool = False
    is_unstored: bool = False
    has_content: bool = False
    has_blobs: bool = False
    failures: dict[str, str] = field(default_factory=dict)
    got: Counter[str] = field(default_factory=Counter)
    sizes: dict[str, int] = field(default_factory=dict)
    open: Counter[str] = field(default_factory=Counter)


class PullCollector:
    """Makes pulls of the log lines of requests; `now` is in seconds, by any clock."""

    def __init__(self) -> None:
        self._pulls: dict[tuple[str, str], _Pull] = {}
        self._images: dict[tuple[str, str], tuple[str, float]] = {}
        self._over: list[PullReport] = []

    def begin(self, line: Mapping[str, Any], now: float) -> None:
        """Note the line `request began`."""
        pull = self._find(line, now)
        if pull is not None:
            pull.open[line["path"]] += 1
            pull.last = now

    def end(self, line: Mapping[str, Any], now: float) -> None:
        """Note the line `request` of an answer."""
        pull = self._find(line, now)
        if pull is None:
            return
        path = line["path"]
        # An answer that is repeated from memory has no line `request began`.
        pull.open[path] -= 1
        if pull.open[path] <= 0:
            del pull.open[path]
        pull.began = min(pull.began, now - line["seconds"])
        pull.last = now
        _add_answer(pull, line)

    def note_unstored(self, line: Mapping[str, Any]) -> None:
        """Note the line `passed through, not stored`, which is about a blob of a running pull."""
        for (_, repository), pull in self._pulls.items():
            if repository == line.get("repository") and pull.open:
                pull.is_unstored = True

    def forget_open(self) -> None:
        """Forget the requests that are being answered, since the process that answers has died."""
        for pull in self._pulls.values():
            pull.open.clear()

    def cut_open(self) -> None:
        """Note that the server has stopped before it answered all requests."""
        for pull in self._pulls.values():
            pull.failures |= dict.fromkeys(pull.open, "the mirror stopped")
        self.forget_open()

    def list_open(self) -> list[OpenPull]:
        """Return the pulls of which requests are being answered now."""
        return [
            OpenPull(self._name(key, pull), key[0], pull.open.total())
            for key, pull in self._pulls.items()
            if pull.open
        ]

    def take_finished(self, now: float, quiet: float = QUIET) -> list[PullReport]:
        """Return the pulls that had no request for `quiet` seconds, and forget them."""
        for key in [key for key, (_, at) in self._images.items() if now - at > REMEMBERED]:
            del self._images[key]
        over = [
            key for key, pull in self._pulls.items() if not pull.open and now - pull.last >= quiet
        ]
        for key in over:
            self._finish(key, now)
        reports, self._over = self._over, []
        return reports

    def _finish(self, key: tuple[str, str], now: float) -> None:
        pull = self._pulls.pop(key)
        if pull.has_content or pull.failures:
            self._over.append(self._report(key, pull, now))

    def _find(self, line: Mapping[str, Any], now: float) -> _Pull | None:
        """Return the pull of a request, which may be a new one; None if it is not of a pull."""
        repository, path = line.get("repository"), line.get("path", "")
        if _find_kind(path) not in ("manifests", "blobs"):
            return None
        if not repository:
            if not line.get("failure"):
                return None
            repository = _read_repository(path, line.get("ns", ""))
        key = (line.get("client") or "", repository)
        former = self._pulls.get(key)
        # A client that asks for a tag again, after it has got blobs, begins again.
        if former is not None and former.has_blobs and not former.open and _is_tag(path):
            self._finish(key, now)
        return self._pulls.setdefault(key, _Pull(now, now))

    def _name(self, key: tuple[str, str], pull: _Pull) -> str:
        """Return the name of the image: its tags, else its digest, else the last one known."""
        _, repository = key
        if pull.names:
            return f"{repository}:{', '.join(pull.names)}"
        if pull.digest:
            return f"{repository}@{pull.digest}"
        return self._images[key][0] if key in self._images else repository

    def _report(self, key: tuple[str, str], pull: _Pull, now: float) -> PullReport:
        image = self._name(key, pull)
        self._images[key] = (image, now)
        path, failure = next(iter(pull.failures.items()), ("", ""))
        if failure and _is_tag(path):  # the client may have asked for other tags too
            image = f"{key[1]}:{_read_reference(path)}"
        return PullReport(
            image=image,
            client=key[0],
            sent=pull.sent.total(),
            downloaded=pull.sent[MISS],
            shared=pull.sent[JOINED],
            seconds=pull.last - pull.began,
            is_stale=pull.is_stale,
            failure=failure,
            is_unstored=pull.is_unstored,
            unsent=sum(max(0, size - pull.got[path]) for path, size in pull.sizes.items()),
        )


def _add_answer(pull: _Pull, line: Mapping[str, Any]) -> None:
    status, path = line["status"], line["path"]
    # Clients ask for the signatures of each image, by tags of their own. Most images have none.
    is_wanted = _find_kind(path) == "blobs" or _add_name(pull, path)
    if status >= 400 and status != _LEFT:
        if is_wanted:
            pull.failures[path] = line.get("failure") or f"status {status}"
        return
    pull.failures.pop(path, None)
    origin = line.get("origin", "")
    pull.has_content = True
    pull.has_blobs |= _find_kind(path) == "blobs"
    pull.is_stale |= origin == STALE
    what = path if _find_kind(path) == "blobs" else "manifests"
    if what == path:
        pull.got[path] += line["bytes"]
        pull.sizes |= {path: line["size"]} if "size" in line else {}
    if origin in (MISS, JOINED):
        pull.fetched[what] = origin
    pull.sent[pull.fetched.get(what, origin)] += line["bytes"]


def _read_repository(path: str, namespace: str) -> str:
    """Return what a request asked for whose registry is not configured, or whose name is wrong."""
    name = unquote(path.rpartition("/")[0].rpartition("/")[0]).removeprefix("/v2/")
    return f"{namespace}/{name}" if namespace else name


def _read_reference(path: str) -> str:
    return unquote(path.rpartition("/")[2])


def _find_kind(path: str) -> str:
    """Return the last part but one of a path such as `/v2/library/nginx/manifests/1.27`."""
    return path.rpartition("/")[0].rpartition("/")[2]


def _is_tag(path: str) -> bool:
    """Whether a path asks for the manifest of a tag that is not made from a digest."""
    text = _read_reference(path)
    return _find_kind(path) == "manifests" and ":" not in text and not is_referrers_tag(Tag(text))


def _add_name(pull: _Pull, path: str) -> bool:
    """Note the name by which a manifest was asked for; false if it is a name of signatures."""
    text = _read_reference(path)
    if ":" not in text:
        if is_referrers_tag(Tag(text)):
            return False
        pull.names[text] = None
    elif not pull.digest:  # the first digest is that of the image; the others are of its platforms
        algorithm, _, encoded = text.partition(":")
        pull.digest = f"{algorithm}:{encoded[:_SHORT]}"
    return True
