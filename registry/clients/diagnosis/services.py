"""What is known of the daemon of a client: since when it runs, and with which proxies. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from registry.clients.diagnosis.cause import Cause
from registry.clients.diagnosis.proxies import ProxySettings


@dataclass(frozen=True, slots=True)
class Service:
    """A service of systemd; `started` is in epoch seconds (0: not known)."""

    unit: str = ""
    started: float = 0.0
    proxies: ProxySettings = field(default_factory=ProxySettings)


def judge_restart(
    service: Service, path: str, changed: float, sentence: str, cure: str
) -> tuple[Cause, ...]:
    """Return the cause that a daemon has not read a file, as it was changed since its start.

    `changed` is when (epoch seconds; 0: not known).
    """
    if not service.started or changed <= service.started:
        return ()
    evidence = f"{path} was changed {changed - service.started:.0f} s after {service.unit} began"
    return (Cause("not restarted", sentence, (evidence,), cure),)


def read_environment(line: str) -> Mapping[str, str]:
    """Return the variables of `systemctl show --property=Environment`: `A=1 "B=2 3"`."""
    try:
        words = shlex.split(line)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def parse_service(output: str) -> tuple[float, Mapping[str, str]]:
    """Return when a service began (0: not known), and its variables, by `systemctl show`."""
    values = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    began = values.get("ActiveEnterTimestamp", "").removeprefix("@")
    return (
        float(began) if began.isdigit() else 0.0,
        read_environment(values.get("Environment", "")),
    )
