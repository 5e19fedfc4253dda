"""Ten honest clients in one process: each pulls a manifest and a blob on a new connection, again.

    python -m tests.faults.attacks.honest URL SECONDS TARGET... [--ca FILE] [--header LINE]

It prints the seconds that each answer took, and how many pulls failed and how.
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

CLIENTS = 10
PAUSE = 0.1  # seconds between two pulls of a client
PATIENCE = 30.0  # seconds that a client waits for an answer; it then counts as these seconds


@dataclass(frozen=True)
class Place:
    """Where clients pull, and how: `header` is a line of each request."""

    host: str
    targets: list[str]
    trust: ssl.SSLContext | None = None
    header: str = "Accept: */*"


async def pull(place: Place) -> list[float]:
    """Ask for all targets on a new connection; return the seconds until each answer was whole."""
    host, trust = place.host, place.trust
    name, _, port = host.rpartition(":")
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(
        name, int(port), ssl=trust, server_hostname="localhost" if trust else None
    )
    seconds = []
    try:
        for target in place.targets:
            request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{place.header}\r\n\r\n"
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1].decode()
            if status != "200":
                raise OSError(status)
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            seconds.append(time.monotonic() - began)
            began = time.monotonic()
    finally:
        writer.close()
    return seconds


async def keep_pulling(place: Place, until: float) -> tuple[list[float], Counter[str]]:
    """Pull until a moment; return the seconds of all answers, and the failures by their kind."""
    seconds: list[float] = []
    failures: Counter[str] = Counter()
    while time.monotonic() < until:
        began = time.monotonic()
        try:
            seconds += await asyncio.wait_for(pull(place), PATIENCE)
        except (OSError, EOFError, TimeoutError) as error:
            kind = type(error).__name__
            failures[str(error) if type(error) is OSError else kind] += 1
            seconds.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE)
    return seconds, failures


async def run(place: Place, seconds: float) -> str:
    """Run all clients, and return the result as JSON."""
    until = time.monotonic() + seconds

    async def begin(number: int) -> tuple[list[float], Counter[str]]:
        await asyncio.sleep(PAUSE * number / CLIENTS)
        return await keep_pulling(place, until)

    done = await asyncio.gather(*map(begin, range(CLIENTS)))
    times = sorted(each for seconds, _ in done for each in seconds)
    failures = sum((failures for _, failures in done), Counter())
    return json.dumps({"times": times, "failures": failures})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("seconds", type=float)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--ca")
    parser.add_argument("--header", default=Place.header)
    given = parser.parse_args()
    trust = ssl.create_default_context(cafile=given.ca) if given.ca else None
    place = Place(urlsplit(given.url).netloc, given.targets, trust, given.header)
    sys.stdout.write(asyncio.run(run(place, given.seconds)))


if __name__ == "__main__":
    main()
