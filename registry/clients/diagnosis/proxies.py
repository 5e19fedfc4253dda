"""Whether a proxy of a client or its daemon gets what it asks the mirror. Pure.

The rules are those of Go (golang.org/x/net/http/httpproxy), in which these clients are written.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from registry.clients.diagnosis.cause import Cause, split_address
from registry.clients.mirror import Mirror
from registry.settings.values import mask_proxy

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What a program was told of proxies, as in the variables of its environment."""

    http_proxy: str = field(default="", repr=False)  # both may contain a password
    https_proxy: str = field(default="", repr=False)
    no_proxy: str = field(default="", repr=False)


def read_proxies(environ: Mapping[str, str]) -> ProxySettings:
    """Return the proxies in an environment; names in capitals count first, as in Go."""

    def find(name: str) -> str:
        return environ.get(name.upper()) or environ.get(name) or ""

    return ProxySettings(find("http_proxy"), find("https_proxy"), find("no_proxy"))


def find_proxy(mirror: Mirror, proxies: ProxySettings) -> str:
    """Return the proxy through which the mirror is asked, without a password; empty if none."""
    proxy = proxies.http_proxy if mirror.is_plain else proxies.https_proxy
    host = urlsplit(mirror.url).hostname or ""
    if not proxy or mirror.is_local or _is_excluded(host, mirror, proxies.no_proxy):
        return ""
    return mask_proxy(proxy if "://" in proxy else f"http://{proxy}")


def _is_excluded(host: str, mirror: Mirror, no_proxy: str) -> bool:
    _, _, port = split_address(mirror.url)
    return any(_matches(host, port, each.strip().lower()) for each in no_proxy.split(","))


def _matches(host: str, port: int, entry: str) -> bool:
    """Whether an entry of NO_PROXY means a host and port."""
    if not entry or entry == "*":
        return entry == "*"
    address = _read_address(host)
    if address is not None and _is_in_network(address, entry):
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit():
        if int(number) != port:
            return False
        entry = name.strip("[]")
    if address is not None:
        return _read_address(entry) == address
    bare = entry.removeprefix("*").removeprefix(".")
    is_subdomain_only = entry.startswith((".", "*."))
    return host.endswith(f".{bare}") or (host == bare and not is_subdomain_only)


def _is_in_network(address: _Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _read_address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def judge_proxy(
    client: str, mirror: Mirror, proxies: ProxySettings, place: str, cure: str
) -> tuple[Cause, ...]:
    """Return the cause that a proxy gets what the client asks the mirror, if that is so.

    `place` is where the client has the proxy from, and `cure` says how the mirror is excluded.
    """
    proxy = find_proxy(mirror, proxies)
    if not proxy:
        return ()
    host = urlsplit(mirror.url).hostname or ""
    variable = "HTTP_PROXY" if mirror.is_plain else "HTTPS_PROXY"
    evidence = f"{place}: {variable}={proxy}, NO_PROXY={proxies.no_proxy or '(empty)'}"
    sentence = f"{client} sends what it asks the mirror to a proxy, {proxy}"
    return (Cause("proxy", sentence, (evidence,), cure.format(host=host), stays=True),)


def judge_shell(client: str, mirror: Mirror, proxies: ProxySettings) -> tuple[Cause, ...]:
    """Return the same of a client without a daemon, which has the proxies of its shell."""
    cure = 'export NO_PROXY="$NO_PROXY,{host}"'
    return judge_proxy(client, mirror, proxies, "the environment of this shell", cure)


def advise_service(unit: str, no_proxy: str) -> str:
    """Return how a service of systemd excludes the mirror: `{host}` stands for it."""
    value = f"{no_proxy},{{host}}" if no_proxy else "{host}"
    folder = f"/etc/systemd/system/{unit}.service.d"
    return (
        f"mkdir -p {folder} && printf '[Service]\\nEnvironment=\"NO_PROXY={value}\"\\n' >"
        f" {folder}/zz-no-proxy.conf && systemctl daemon-reload && systemctl restart {unit}"
    )
