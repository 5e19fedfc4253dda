"""A client whose configuration is examined: what is asked, and where its facts come from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from registry.clients.diagnosis.proxies import ProxySettings
from registry.clients.diagnosis.services import Service
from registry.clients.mirror import Mirror
from registry.clients.plan import Reader

Lister = Callable[[PurePosixPath], tuple[str, ...]]  # the names in a folder; none if it is missing
FindChange = Callable[[PurePosixPath], float]  # when a file was changed (epoch seconds; 0: missing)


@dataclass(frozen=True, slots=True)
class Examined:
    """A client, the mirror that it shall ask for images of `registry`, and how its files are read.

    `home` is the folder of the user, and `is_rootless` says that the files of users count.
    `host` is the name of this machine. `service` is its daemon, and `proxies` are those of this
    shell, for a client without a daemon. `registries_conf` is the file that
    CONTAINERS_REGISTRIES_CONF names, or empty.
    """

    client: str
    registry: str
    mirror: Mirror
    read: Reader
    list_names: Lister
    find_change: FindChange
    home: PurePosixPath
    is_rootless: bool = False
    service: Service = field(default_factory=Service)
    proxies: ProxySettings = field(default_factory=ProxySettings)
    registries_conf: str = ""
    host: str = ""
