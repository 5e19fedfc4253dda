"""What was measured on what: figures mean nothing without it."""

import os
import platform
from pathlib import Path

import aiohttp

from benchmarks.bench import Bench, count_cores


def describe_machine(bench: Bench) -> dict[str, str]:
    """Return facts of the machine and the versions of everyone who is measured."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    facts = {
        "cores": str(count_cores()),
        "processor": _read_field("/proc/cpuinfo", "model name"),
        "memory": f"{int(_read_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "python": f"{platform.python_version()}, aiohttp {aiohttp.__version__}",
        "load at the start": load,
    }
    for name, peer in bench.present.items():
        facts[name] = peer.read_version()
    for name, why in bench.missing.items():
        facts[name] = f"missing: {why}"
    return facts


def _read_field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown 0"
