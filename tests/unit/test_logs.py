"""Laws of the log: lines stay whole and in order, and logging never raises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry.logs import _encode_json

BEGIN = """
import asyncio, logging, os, structlog
from registry.logs import configure_logs
configure_logs()
log = structlog.get_logger("test").bind()
"""


def run(program: str, stderr: Path | None = None) -> list[str]:
    """Return the lines that a program logs."""
    with (stderr or Path("/dev/null")).open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", BEGIN + program],
            stdout=subprocess.PIPE,
            stderr=file if stderr else subprocess.PIPE,
            check=False,
            timeout=60,
        )
    said = (done.stderr or b"").decode()
    assert done.returncode == 0, said
    return said.splitlines()


def test_lines_keep_their_order() -> None:
    """Lines before, in and after an event loop, of any level, stay in order."""
    lines = run(
        """
async def talk():
    log.info("1"); log.info("2"); log.error("3"); log.info("4")
    await asyncio.sleep(0)
    log.info("5"); log.warning("6"); log.info("7")
log.info("0")
asyncio.run(talk())
log.info("8")
"""
    )
    assert [json.loads(line)["event"] for line in lines] == list("012345678")


def test_lines_of_processes_never_mix() -> None:
    """Several processes write thousands of lines to one pipe, and each line is whole."""
    lines = run(
        """
async def talk():
    for number in range(200):
        for size in (10, 200, 700, 250, 250, 700, 700, 700, 250):
            log.info("x", pid=os.getpid(), text="y" * size)
        log.error("x", pid=os.getpid(), text="z" * 300)
        await asyncio.sleep(0)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        asyncio.run(talk())
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    )
    records = [json.loads(line) for line in lines]
    assert len(records) == 3 * 2000
    assert len({each["pid"] for each in records}) == 3


def test_lines_of_threads_are_not_lost() -> None:
    """When a thread and the event loop log at the same time, no line is lost."""
    lines = run(
        """
def shout():
    for number in range(500):
        log.info("thread")
async def talk():
    task = asyncio.create_task(asyncio.to_thread(shout))
    while not task.done():
        log.info("loop")
        await asyncio.sleep(0)
    log.info("count", lines=0)
asyncio.run(talk())
"""
    )
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("thread") == 500, len(events)
    assert events[-1] == "count"


def test_a_thread_delays_no_lines() -> None:
    """After a line of a thread, later lines of the event loop are still written."""
    lines = run(
        """
import threading
async def talk():
    for number in range(20):
        log.info("loop")
        thread = threading.Thread(target=log.info, args=("thread",))
        thread.start(); thread.join()
        await asyncio.sleep(0)
    os._exit(0)  # nothing is left to be written at the end
asyncio.run(talk())
"""
    )
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("loop") >= 19
    assert events.count("thread") == 20


def test_a_reader_that_is_slow_gets_all() -> None:
    """A line longer than a pipe holds arrives whole, also in a non-blocking pipe."""
    lines = run(
        """
os.set_blocking(2, False)
for number in range(200):
    log.warning("x", text="y" * 9000)
"""
    )
    assert [len(json.loads(line)["text"]) for line in lines] == [9000] * 200


def test_loggers_share_one_order() -> None:
    """The lines of two loggers in one turn of the event loop stay in order."""
    lines = run(
        """
other = structlog.get_logger("other").bind()
async def talk():
    for number in range(4):
        (log if number % 2 else other).info(str(number))
asyncio.run(talk())
"""
    )
    assert [json.loads(line)["event"] for line in lines] == list("0123")


def test_a_log_that_is_full_breaks_nothing() -> None:
    """Logging to a full disk, or to a reader that has left, raises nothing."""
    assert run('log.info("x"); log.error("y")', Path("/dev/full")) == []
    run('r, w = os.pipe(); os.dup2(w, 2); os.close(r); os.close(w); log.error("y")')


def test_any_text_can_be_logged() -> None:
    """Bytes that are not UTF-8, and objects that JSON does not have, can be logged."""
    lines = run('log.info("x", path=b"/\\xff".decode(errors="surrogateescape"), odd=object)')
    record = json.loads(lines[0])
    assert record["path"] == "/\udcff"
    assert "object" in record["odd"]


def test_exceptions_are_logged() -> None:
    """The line of an exception has the trace, the level and the time."""
    (line,) = run(
        """
try:
    1 / 0
except ZeroDivisionError:
    log.exception("crashed")
"""
    )
    record = json.loads(line)
    assert "ZeroDivisionError" in record["exception"]
    assert record["level"] == "error"
    assert record["timestamp"].startswith("20")
    assert record["timestamp"].endswith(("Z", "+00:00"))


@pytest.mark.parametrize(
    "sign", ["\x1b", "\x7f", "\x9b", "\u202e", "\u2028", "\U000e0001", "\ud800"]
)
def test_no_line_commands_a_terminal(sign: str) -> None:
    """Signs that are not printed are escaped, in values of clients and in names of files."""
    line = _encode_json(None, "", {"event": "request", "ns": f"a{sign}]0;b", "path": "/é"})

    assert line.decode().removesuffix("\n").isprintable()
    assert json.loads(line)["ns"] == f"a{sign}]0;b"
    assert json.loads(line)["path"] == "/é"


FIELDS = [{"a": 1, "text": "x\x9b31m", "where": "\u2028"}, {}, {"agent": "\udcff"}]


@pytest.mark.parametrize(("fields", "level"), zip(FIELDS, ("info", "warning", "info"), strict=True))
def test_prepared_lines_are_the_same_lines(fields: dict[str, object], level: str) -> None:
    """A prepared line has the fields of a usual one, in the same order, also if they are odd."""
    lines = run(
        f"""
from registry.logs import prepare_lines
fields = {fields!a}
log.bind(**fields).{level}("said", client="1\x7f", seconds=0.1)
prepare_lines("said", logging.{level.upper()}, **fields)(2, client="1\x7f", seconds=0.1)
"""
    )
    usual, *prepared = [line.partition('"timestamp"') for line in lines]
    assert [each[:2] for each in prepared] == [usual[:2]] * 2
    assert all(json.loads("".join(each))["timestamp"].endswith("Z") for each in prepared)


def test_many_prepared_lines_are_written_in_whole_lines() -> None:
    """Each call writes whole lines, and at most as many bytes as a pipe takes at once."""
    program = """
import asyncio, os
from registry.logs import prepare_lines, ATOMIC
write = os.write
def write_whole(where, line):
    assert len(line) <= ATOMIC and bytes(line[-1:]) == b"\\n", len(line)
    return write(where, line)
os.write = write_whole
async def say() -> None:
    log.info("first")
    prepare_lines("said", logging.INFO, a=1)(1000, client="x")
    log.info("last")
asyncio.run(say())
"""
    events = [json.loads(line)["event"] for line in run(program)]
    assert events == ["first", *["said"] * 1000, "last"]


def test_prepared_lines_below_the_level_are_not_written() -> None:
    """A command prints its own messages, and no such lines."""
    program = """
from registry.logs import prepare_lines
configure_logs(logging.CRITICAL)
prepare_lines("said", logging.INFO, a=1)(1, client="x")
"""
    assert run(program) == []
