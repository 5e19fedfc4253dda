"""A real mirror: `entrepot serve` in other processes, with settings of the test."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

from tests.harness.commands import ForkedProcess, clean_environment, run_command, start_server
from tests.harness.deadline import await_truth
from tests.harness.free_port import keep_port
from tests.harness.leaks import list_leaks, read_pages
from tests.harness.processes import has_running

START = 20.0  # seconds a mirror has to say that it serves, on a busy machine
STOP = 40.0  # seconds it has to drain


class MirrorProcess:
    """A mirror on free ports of the loopback; `with` starts and stops it.

    Whenever it ends, it may have left no secret behind (`tests/harness/leaks.py`).

    `upstreams` maps registries to endpoint URLs or to whole tables; the first is the default one.
    `settings` are further tables, e.g. `{"tags": {"fresh_for": "0s"}}`; with `storage.path` it
    serves another's data folder.
    """

    def __init__(
        self,
        folder: Path,
        upstreams: Mapping[str, str | Mapping[str, Any]],
        settings: Mapping[str, Any] | None = None,
        *,
        workers: int = 2,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = Path((settings or {}).get("storage", {}).get("path", folder / "data"))
        self.config = folder / "entrepot.toml"
        self.log_path = folder / "mirror.log"
        self._upstreams = upstreams
        self._settings = dict(settings or {})
        self._workers = workers
        self._ports = {"listen": 0, "console": 0}
        self._process: ForkedProcess | subprocess.Popen[bytes] | None = None
        self._is_own = not self.data.exists()
        self._pages: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        """The URL from which clients pull."""
        return f"http://127.0.0.1:{self._ports['listen']}"

    @property
    def host(self) -> str:
        """The address from which clients pull, as host:port."""
        return self.url.removeprefix("http://")

    @property
    def console(self) -> str:
        """The URL of probes and metrics."""
        return f"http://127.0.0.1:{self._ports['console']}"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None, "the mirror is not running"
        return self._process.pid

    def start(self, *arguments: str) -> Self:
        """Start it with the fork server, and wait until it serves.

        The ports of the first start are kept, also while it is stopped.
        """
        self._keep_ports()
        command = self.command(*arguments)
        return self._begin(lambda log: start_server(command, log, self.environment))

    def start_anew(self, *arguments: str, under: Sequence[str] = ()) -> Self:
        """Start it in a new interpreter, as a shell does, and wait until it serves.

        `under` is a program that starts another, such as a tracer.
        """
        self._keep_ports()
        command = [*under, sys.executable, "-m", "registry", *self.command(*arguments)]
        return self._begin(
            lambda log: subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=self.environment,
            )
        )

    def _keep_ports(self) -> None:
        self._ports = {name: port or keep_port(self) for name, port in self._ports.items()}

    def _begin(
        self, spawn: Callable[[IO[bytes]], "ForkedProcess | subprocess.Popen[bytes]"]
    ) -> Self:
        self._write_config()
        seen = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = spawn(log)
        self._ports = self._wait_for_ports(seen)
        return self

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the mirror and of its commands."""
        return clean_environment()

    def command(self, *arguments: str) -> list[str]:
        """Return the arguments of `entrepot`."""
        return ["serve", "--config", str(self.config), *arguments]

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of `entrepot` with this mirror's configuration, as operators do."""
        return run_command(*arguments, "--config", str(self.config), stdin=stdin)

    def _write_config(self) -> None:
        server = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        tables: dict[str, Any] = {
            "server": server | {"workers": self._workers},
            "storage": {"path": str(self.data)},
        }
        for name, values in self._settings.items():
            if isinstance(values, dict):
                tables.setdefault(name, {}).update(values)
            else:
                tables[name] = values
        tables["upstreams"] = {}
        for number, (name, given) in enumerate(self._upstreams.items()):
            table = {"endpoints": [given]} if isinstance(given, str) else dict(given)
            tables["upstreams"][name] = table | {"default": number == 0}
        tables["upstreams"].setdefault("docker.io", {})["default"] = (
            next(iter(self._upstreams)) == "docker.io"
        )
        self.config.write_text("\n".join(_print_toml(tables)), encoding="utf-8")

    def _wait_for_ports(self, seen: int) -> dict[str, int]:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            for line in self.log_path.read_bytes()[seen:].splitlines():
                if b'"event":"serving"' in line:
                    said = json.loads(line)
                    return {
                        "listen": int(said["pulls"].rpartition(":")[2]),
                        "console": int(said["console"].rpartition(":")[2]),
                    }
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.02)
        self._kill()
        raise AssertionError(f"the mirror does not serve:\n{self.log()}")

    def stop(self) -> int:
        """Stop it like an operator does, with SIGTERM; return its exit code."""
        assert self._process is not None, "the mirror is not running"
        self._pages = read_pages(self.console)
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP)
        finally:
            self.kill()

    def close(self) -> None:
        """End it at the end of a test, if it is running."""
        if self._process is not None:
            self._pages = read_pages(self.console)
            self.kill()

    def kill(self) -> None:
        """Kill all its processes at once, like a power cut.

        Raises:
            AssertionError: it has left a secret behind; the message names the place.
        """
        if self._process is not None:
            self._kill()
            pages, self._pages = self._pages, {}
            leaks = list_leaks(self.log_path, self.data, pages, is_own_folder=self._is_own)
            assert not leaks, "\n".join(leaks)

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # Its workers hold the sockets until the kernel has ended them too.
            group, self._process = self._process.pid, None
            await_truth(lambda: not has_running(group))

    def log(self) -> str:
        """Return everything that it has logged."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        lines = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def await_failure(self, words: str) -> None:
        """Wait until the log says of a request that it failed, with these words in the reason."""

        def has_failed() -> bool:
            return any(words in event.get("failure", "") for event in self.events("request"))

        await_truth(has_failed)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()


def _print_toml(table: Mapping[str, Any], head: str = "") -> list[str]:
    # The strings, numbers, booleans and lists of JSON are those of TOML.
    lines = [
        f"{key} = {_print_value(value)}"
        for key, value in table.items()
        if value != {} and not isinstance(value, dict)
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [
                f"[{head}{json.dumps(key)}]",
                *_print_toml(value, f"{head}{json.dumps(key)}."),
            ]
    return lines


def _print_value(value: object) -> str:
    if isinstance(value, dict):  # in a list
        return "{" + ", ".join(f"{key} = {json.dumps(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_print_value, value))}]"
    return json.dumps(value)
