"""System calls of running processes, in order, as `strace` sees them."""

import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness.deadline import await_truth

CALLS = (
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "fchmod",
    "pwritev",
    "pwritev2",
    "pwrite64",
    "write",
)
LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
BEGUN = re.compile(r"^(?P<name>\w+)\((?P<arguments>.*?)(?P<cut> <unfinished \.\.\.>)?$")
RESUMED = re.compile(r"^<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)$")
DESCRIPTOR = re.compile(r"^\w+<(?P<path>[^>]*)>")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Call:
    """A call that succeeded: `paths` are what it names, `began` and `ended` lines of the trace."""

    name: str
    paths: tuple[str, ...]
    began: int
    ended: int

    def __str__(self) -> str:
        return f"{self.began}-{self.ended} {self.name} {' '.join(self.paths)}"


class Tracer:
    """Traces processes with all their threads, from `with` on until it is left."""

    def __init__(self, trace: Path, processes: Iterable[int]) -> None:
        self._trace = trace
        self._processes = list(processes)
        options = ["-f", "-y", "-s", "0", "-e", f"trace={','.join(CALLS)}", "-e", "signal=none"]
        attached = [word for pid in self._processes for word in ("-p", str(pid))]
        self._strace = subprocess.Popen(
            ["strace", *options, "-o", str(trace), *attached],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        await_truth(lambda: all(map(is_traced, self._processes)) or self._strace.poll())
        assert self._strace.poll() is None, "strace has ended"
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the processes, which go on."""
        self._strace.send_signal(signal.SIGINT)
        try:
            self._strace.wait(20)
        finally:
            self._strace.kill()
            self._strace.wait()

    def list_calls(self) -> list[Call]:
        """What was called, in the order of the beginnings."""
        return read_trace(self._trace.read_text(errors="replace").splitlines())


def is_traced(pid: int) -> bool:
    """Whether each thread of a process has a tracer."""
    states = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(states) and not any("TracerPid:\t0\n" in state for state in states)


def read_trace(lines: Iterable[str]) -> list[Call]:
    """Join what was interrupted, and leave out what failed."""
    calls: list[Call] = []
    waiting: dict[str, tuple[int, str, str]] = {}
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if found is None:
            continue
        thread, rest = found["thread"], found["rest"]
        if resumed := RESUMED.match(rest):
            began, name, arguments = waiting.pop(thread, (number, resumed["name"], ""))
            arguments += resumed["arguments"]
        elif begun := BEGUN.match(rest):
            began, name, arguments = number, begun["name"], begun["arguments"]
            if begun["cut"]:
                waiting[thread] = (number, name, arguments)
                continue
        else:
            continue
        if " = -1 " not in arguments:
            calls.append(Call(name, read_paths(arguments), began, number))
    return sorted(calls, key=lambda call: call.began)


def read_paths(arguments: str) -> tuple[str, ...]:
    """The paths that a call names: by a descriptor, or in quotes."""
    if descriptor := DESCRIPTOR.match(arguments):
        return (descriptor["path"],)
    return tuple(TEXT.findall(arguments))
