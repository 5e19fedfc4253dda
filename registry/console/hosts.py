"""By which names the console may be asked for. Pure.

A web page can make a browser ask this machine under a name of the page's own domain (DNS
rebinding), and then read the answers. Such a request has that name in its Host header.
"""

import ipaddress
import re
from collections.abc import Collection

EVERY = "*"
_HOST = re.compile(r"(?:\[(?P<address>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::\d*)?")


def is_own_name(header: str, names: Collection[str]) -> bool:
    """Whether a console with these names may answer a request with this Host header.

    An address, `localhost`, and a name without a dot are always accepted: nobody can register them
    as a domain. So is a request without the header, which is from no browser.
    """
    if not header or EVERY in names:
        return True
    parts = _HOST.fullmatch(header.strip().lower())
    if parts is None:
        return False
    if parts["address"]:
        return _is_address(parts["address"])
    name = parts["name"].removesuffix(".")
    return "." not in name or _is_address(name) or name in names


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
