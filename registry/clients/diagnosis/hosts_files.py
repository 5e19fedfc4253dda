"""What the `hosts.toml` of containerd, nerdctl and Docker say of a mirror. Pure."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from registry.clients import toml_text
from registry.clients.diagnosis.cause import (
    NOT_SET_UP,
    Cause,
    Diagnosis,
    advise_setup,
    describe_others,
    is_mirror,
    is_other_scheme,
    list_texts,
)
from registry.clients.diagnosis.examined import Examined
from registry.clients.mirror import Mirror
from registry.clients.plan import Reader
from registry.settings.values import Refusal

NAME = "hosts.toml"
_ALL = "_default"
_WRONG = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "hub.docker.com")


def find_hosts_file(
    folder: PurePosixPath, registry: str, read: Reader
) -> tuple[PurePosixPath, str | None] | None:
    """Return the file that counts for a registry, and its text; None if there is none.

    A folder for the registry alone hides the one for all, also without the file.
    """
    for name in (registry, _ALL):
        path = folder / name / NAME
        text = read(path)
        if text is not None:
            return path, text
        if name == registry and read(folder / name / "ca.crt") is not None:
            return path, None
    return None


def diagnose_hosts(client: str, folder: PurePosixPath, examined: Examined) -> Diagnosis:
    """Return what the files in a folder `certs.d` say of the mirror.

    `client` is how `entrepot setup` calls the client.
    """
    registry, mirror, read = examined.registry, examined.mirror, examined.read
    cure = advise_setup(client, mirror)
    found = find_hosts_file(folder, registry, read)
    if found is None:
        return Diagnosis((_explain_missing(client, folder, registry, mirror, read),))
    path, text = found
    if text is None:
        sentence = f"{path.parent} has no {NAME}, and hides the one in {folder / _ALL}"
        return Diagnosis((Cause("hidden", sentence, (f"{path}: missing",), cure),))
    try:
        document = toml_text.parse(text)
    except Refusal as error:
        line = getattr(error, "line", 0)
        place = f"{path}:{line}" if line else str(path)
        sentence = f"{client} cannot read {path}, and so pulls nothing of {registry}"
        cause = Cause("damaged", sentence, (f"{place}: {error.why}",), f"edit {path}: {error.cure}")
        return Diagnosis((cause,))
    return _judge(client, path, document, mirror, cure)


def _explain_missing(
    client: str, folder: PurePosixPath, registry: str, mirror: Mirror, read: Reader
) -> Cause:
    """Return why no file counts for a registry."""
    for name in _WRONG if registry == "docker.io" else ():
        path = folder / name / NAME
        text = read(path)
        if text is not None and mirror.host in text:
            right = folder / registry
            sentence = f"the folder has to be called {registry}, and not {name}"
            return Cause(
                "wrong folder",
                f"{client} does not read {path}: {sentence}",
                (f"{path}: names {mirror.host}", f"{right / NAME}: missing"),
                f"mkdir -p {right} && mv {path} {right}/",
            )
    return Cause(
        NOT_SET_UP,
        f"{client} has no file that names a mirror for {registry}",
        (f"{folder / registry / NAME}: missing", f"{folder / _ALL / NAME}: missing"),
        advise_setup(client, mirror),
    )


def _judge(
    client: str, path: PurePosixPath, document: Mapping[str, Any], mirror: Mirror, cure: str
) -> Diagnosis:
    table = document.get("host")
    hosts: Mapping[str, Any] = table if isinstance(table, dict) else {}
    server = str(document.get("server") or "")
    evidence = (f"{path}: {describe_others([*hosts, *([server] if server else [])])}",)
    own = next((each for each in hosts if is_mirror(each, mirror)), None)
    if own is None and server and is_mirror(server, mirror):
        return Diagnosis((), evidence)
    if own is None:
        return Diagnosis((_explain_other(client, path, [*hosts, server], mirror, cure),), evidence)
    options = hosts[own] if isinstance(hosts[own], dict) else {}
    causes = [*_judge_options(client, path, own, options)]
    first = next(iter(hosts))
    if first != own:
        sentence = f"{client} asks {first} before the mirror"
        causes.append(Cause("not first", sentence, evidence, f"edit {path}", stays=True))
    return Diagnosis(tuple(causes), evidence)


def _explain_other(
    client: str, path: PurePosixPath, urls: list[str], mirror: Mirror, cure: str
) -> Cause:
    """Return why a file leads elsewhere."""
    urls = [each for each in urls if each]
    evidence = (f"{path}: {describe_others(urls)}",)
    if other := next((each for each in urls if is_other_scheme(each, mirror)), ""):
        sentence = f"{client} asks the mirror by {other}, but it is {mirror.url}"
        return Cause("scheme", sentence, evidence, f"edit {path}: write {mirror.url}")
    is_alone = path.parent.name != _ALL
    hides = f"; {path.parent} hides {path.parent.parent / _ALL}" if is_alone else ""
    return Cause("other mirror", f"{path} does not name the mirror{hides}", evidence, cure)


def _judge_options(
    client: str, path: PurePosixPath, url: str, options: Mapping[str, Any]
) -> Iterator[Cause]:
    if "capabilities" in options:
        known = list_texts(options["capabilities"])
        missing = [each for each in ("pull", "resolve") if each not in known]
        if missing:
            sentence = f"{client} does not ask the mirror for tags: {' and '.join(missing)} missing"
            evidence = (f"{path}: [host.{url!r}] capabilities = {known}",)
            cure = f'edit {path}: write capabilities = ["pull", "resolve"]'
            yield Cause("capabilities", sentence, evidence, cure)
    path_part = url.partition("://")[2].partition("/")[2]
    if options.get("override_path") and "v2" not in path_part.split("/"):
        sentence = f"{client} leaves /v2 out of what it asks the mirror"
        evidence = (f"{path}: [host.{url!r}] override_path = true",)
        yield Cause("path", sentence, evidence, f"edit {path}: remove override_path")
