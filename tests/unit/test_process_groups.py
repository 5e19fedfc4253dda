"""What tests ask about a mirror's processes: whether one of them still runs."""

import os
import signal
import subprocess

from tests.harness.deadline import await_truth
from tests.harness.processes import has_running


def test_a_killed_process_does_not_run() -> None:
    """It is listed until somebody asks for its exit code, but it holds no sockets any more."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        assert has_running(process.pid)

        process.kill()

        await_truth(lambda: not has_running(process.pid))
        os.killpg(process.pid, 0)  # it is listed still
    assert process.returncode == -signal.SIGKILL
