"""A process that has imported all of `registry`, and forks commands from it.

It is small and synchronous: no threads, no event loop, and only the socket of requests is open.
"""

import gc
import json
import os
import pkgutil
import signal
import socket
import sys
from importlib import import_module
from typing import NoReturn

import registry.__main__ as program

LONGEST = 128 * 1024  # bytes of a request, environment included


def serve() -> None:
    """Fork a process for each request, until the other end of the socket is closed.

    A request is JSON with the arguments, the environment, the working directory and whether to be a
    session, and four descriptors: standard input, output and error, and one to which the process id
    and then the exit status are written.
    """
    gc.freeze()  # else the garbage collector of each command would visit, and so copy, all of it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes of write_end
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
    into, out, err, answers = given
    if command := os.fork():
        write_end(command, answers)
    os.close(answers)
    become(request, into, out, err)


def write_end(command: int, answers: int) -> NoReturn:
    os.write(answers, f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    os.write(answers, f"{status}\n".encode())
    os._exit(0)


def become(request: bytes, into: int, out: int, err: int) -> None:
    """Run the command in this process until the interpreter ends, as `python -m registry` does."""
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


def import_everything() -> None:
    """Import all modules of `registry`, which commands import only when they need them."""
    for module in pkgutil.walk_packages(import_module("registry").__path__, "registry."):
        import_module(module.name)


if __name__ == "__main__":
    import_everything()
    serve()
