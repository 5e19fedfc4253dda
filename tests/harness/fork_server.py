"""A process that has everything imported, and forks commands that are as new as started ones.

It is small and synchronous: no threads, no event loop, nothing open but the socket of requests.
"""

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import NoReturn

import registry.__main__ as program
from tests.harness.commands import METRICS

LONGEST = 128 * 1024  # bytes of a request, environment included


def serve() -> None:
    """Fork a process for each request until nobody can ask any more.

    A request is the arguments, the environment, the working directory and whether to be a session
    in JSON, and four descriptors: what to read, two to print on, and one that is told the process
    id and then how it ended.
    """
    gc.freeze()  # else the end of each command would look at, and so copy, all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for commands
    requests = socket.socket(fileno=os.dup(0))
    while True:
        request, given, _, _ = socket.recv_fds(requests, LONGEST, 4)
        if not request:
            return
        if os.fork() == 0:
            break
        for descriptor in given:
            os.close(descriptor)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    into, out, err, told = given
    if command := os.fork():
        tell_end(command, told)
    os.close(told)
    become(request, into, out, err)


def tell_end(command: int, told: int) -> NoReturn:
    os.write(told, f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    os.write(told, f"{status}\n".encode())
    os._exit(0)


def become(request: bytes, into: int, out: int, err: int) -> None:
    """Be the command from here to the end of the interpreter, as `python -m registry` is."""
    arguments, environment, folder, has_session = json.loads(request)
    if has_session:
        os.setsid()
    for place, descriptor in enumerate((into, out, err)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.modules["__main__"] = program
    sys.argv = [str(program.__file__), *arguments]
    program.run()


if __name__ == "__main__":
    if METRICS in os.environ:  # it decides at import where all that is forked counts
        import_module("registry.server.worker")
    serve()
