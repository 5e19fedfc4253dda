"""What is printed of a crash: what happened and where, and no secret, at every level of the log."""

import os
import subprocess
import sys

import pytest

from registry.errors.masking import mask_secrets
from tests.harness.planted import MARK, UPSTREAM_TOKEN, refuse_secrets

BEGIN = """
import asyncio, faulthandler, logging, os, sys, threading
from registry.errors.masking import mask_crashes
from registry.logs import configure_logs, get_logger
from registry.server.forked_call import ForkedCall
from registry.server.loop_errors import limit_reports
mask_crashes()
configure_logs(logging.DEBUG)
SAID = os.environ["SAID"]
def crash(password):
    copied = [password]
    raise RuntimeError(SAID)
"""
NOT_ALLOWED = 77  # an exit code
CRASHES = {
    "a program": "crash(SAID)",
    "a thread": "t = threading.Thread(target=crash, args=(SAID,)); t.start(); t.join()",
    "a destructor": """
class Owner:
    __del__ = lambda self: crash(SAID)
Owner()
""",
    "a task that nobody awaits": """
async def fail():
    crash(SAID)
async def main():
    asyncio.create_task(fail())
    await asyncio.sleep(0)
asyncio.run(main())
""",
    "a callback": """
async def main():
    limit_reports(asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(crash, SAID)
    await asyncio.sleep(0)
asyncio.run(main(), debug=True)
""",
    "a callback that takes long": """
async def main():
    asyncio.get_running_loop().slow_callback_duration = 0.0
    asyncio.get_running_loop().call_soon(lambda said: None, SAID)
    await asyncio.sleep(0)
asyncio.run(main(), debug=True)
logging.getLogger("library").warning("failed: %s", SAID)
""",
    "what is logged": """
try:
    crash(SAID)
except RuntimeError as error:
    get_logger("x").exception("failed", why=str(error))
    get_logger("x").warning("failed", why=error)
    logging.getLogger("library").warning("failed: %s", error)
""",
    "a child process": "ForkedCall(lambda: crash(SAID)).wait()",
}
# What libraries say when they fail.
MESSAGES = {
    "a header": f"Illegal header value b'Bearer {UPSTREAM_TOKEN}Zm9v'",
    "a login": "Authorization: Basic YW5uOng5cGw0bnRlZHE3LXNlY3JldA==",
    "a URL with a password": f"cannot connect to http://ann:{MARK}@127.0.0.1:1/v2/",
    "a signed URL": f"Redirect response for url 'https://cdn.example/x?verify={MARK}&a=b'",
    "a token of the mirror": "not found: /t/ent_abcdefgh_k7k7k7k7k7k7k7k7k7k7k7k7k7k7k7k7/v2/",
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
def test_a_crash_shows_no_secret(crash: str) -> None:
    """Neither of variables, nor in the message; but where it was, and the rest of the message."""
    said = "; ".join(MESSAGES.values())
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", BEGIN + crash],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"SAID": said},
    )

    refuse_secrets("the output", f"{done.stdout}{done.stderr}".encode())
    assert "k7k7" not in done.stderr
    assert "Redirect response for url 'https://cdn.example/x?********'" in done.stderr
    assert "RuntimeError" in done.stderr or "failed" in done.stderr


def test_a_fault_shows_no_secret() -> None:
    """What the interpreter prints of a crash in compiled code names only files and functions."""
    program = f"{BEGIN}\nfaulthandler.enable()\ndef die(password):\n    os.abort()\ndie(SAID)"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        capture_output=True,
        check=False,
        timeout=60,
        env=os.environ | {"SAID": MARK},
    )

    assert b"Fatal Python error" in done.stderr
    refuse_secrets("the output", done.stdout + done.stderr)


def test_no_core_dump_is_written() -> None:
    """Whatever limit a process inherits, it has none left, and neither have those that it forks."""
    program = f"""
import resource
try:
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
except ValueError:
    raise SystemExit({NOT_ALLOWED})
{BEGIN}
print(resource.getrlimit(resource.RLIMIT_CORE))
child = os.fork()
if not child:
    os.abort()
print(os.WCOREDUMP(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"SAID": MARK},
    )
    if done.returncode == NOT_ALLOWED:
        pytest.skip("this user may not raise the limit of core dumps")

    assert done.stdout.splitlines() == ["(0, 0)", "False"], done.stderr


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_each_kind_of_secret_is_masked(message: str) -> None:
    """What is not secret stays, so that an operator can find out what happened."""
    masked = mask_secrets(message)

    refuse_secrets("the message", masked.encode())
    assert "********" in masked
    assert masked[:10] == message[:10]
    assert mask_secrets(masked) == masked


@pytest.mark.parametrize(
    "message",
    [
        'Bearer realm="https://auth.example/token",service="registry.example"',
        "the registry asks for Basic authentication",
        "http://127.0.0.1:5000/v2/team/app/manifests/1.27",
        "team@example.org: https://example.org",
        "sha256:0123456789abcdef",
        '{"event":"request","path":"/v2/","user":"ann"}',
    ],
)
def test_what_is_no_secret_is_shown(message: str) -> None:
    """The places where a registry sends clients, names and digests are what an operator needs."""
    assert mask_secrets(message) == message
