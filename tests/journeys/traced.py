"""Run a program of ours with its calls traced: `python -m tests.journeys.traced FOLDER COMMAND...`

FOLDER is that of a `Recording`. COMMAND is `python -m MODULE ARGUMENT...`, as a shell starts it;
it runs in this process, and its child processes are traced like it.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.journeys.questions import QUESTIONS, answers
from tests.journeys.recording import Recording
from tests.journeys.tracer import Place, Tracer


def find_program() -> Path:
    """The folder of the package `registry`, which is not imported for that."""
    spec = find_spec("registry")
    assert spec is not None, "registry is not installed"
    assert spec.origin is not None, "registry is no package"
    return Path(spec.origin).parent


def is_asked(place: Place) -> bool:
    """Whether the function is in the table of questions."""
    return any(answers(question, place) for question in QUESTIONS)


def main() -> None:
    """Install the tracer, and then be the program."""
    folder, _, _, module, *arguments = sys.argv[1:]
    recording = Recording(Path(folder))
    sys.argv = [module, *arguments]
    Tracer(find_program(), recording.number, recording.record, is_asked).install()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
