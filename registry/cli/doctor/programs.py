"""Running the programs of clients: for a limited time, and without their questions."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LONGEST = 1024 * 1024  # bytes of output


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program has printed, and its exit code; None if it was ended, as time was over."""

    output: str
    code: int | None


def has_program(name: str) -> bool:
    """Whether a program is on the PATH, or at its path."""
    return shutil.which(name) is not None


async def run_program(words: Sequence[str], seconds: float) -> Ran | None:
    """Run a program to its end, for so many seconds at most; None if it cannot be run."""
    return await watch_program(words, seconds, _never)


async def _never() -> bool:
    return False


async def watch_program(
    words: Sequence[str],
    seconds: float,
    is_enough: Callable[[], Awaitable[bool]],
    folder: Path | None = None,
    pause: float = 0.2,
) -> Ran | None:
    """Run a program until it ends, `is_enough` returns true, or time is over.

    What it has started is ended with it. None if it cannot be run.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
        )
    except OSError:
        return None
    output = bytearray()
    reading = asyncio.create_task(_read(process, output))
    try:
        async with asyncio.timeout(seconds):
            while not reading.done():
                if await is_enough():
                    break
                await asyncio.wait([reading], timeout=pause)
    except TimeoutError:
        pass
    finally:
        code = await _end(process, reading)
    return Ran(output.decode(errors="replace"), code)


async def _read(process: asyncio.subprocess.Process, output: bytearray) -> None:
    if process.stdout is None:
        return
    while chunk := await process.stdout.read(65536):
        output += chunk[: _LONGEST - len(output)]


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Task[None]) -> int | None:
    """End a program that still runs; return its exit code, and None if it was ended."""
    if reading.done():
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                return await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await process.wait()
    return None
