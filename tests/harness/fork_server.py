"""A process that has imported all of `registry`, and forks commands from it.

It is small and synchronous: no threads, no event loop, and no files but the sockets it answers.
"""

import atexit
import fcntl
import gc
import json
import os
import pkgutil
import signal
import socket
import sys
import termios
from contextlib import suppress
from importlib import import_module
from selectors import EVENT_READ, DefaultSelector
from typing import NoReturn

import registry.__main__ as program
from registry.wiring.services import preload_libraries

LONGEST = 128 * 1024  # bytes of a request, environment included


def serve() -> None:
    """Fork a process for each request, until the other end of the socket is closed.

    A request is JSON with the arguments, the environment, the working directory and whether to be a
    session, and four descriptors: standard input, output and error, and one to which the process id
    and then the exit status are written.
    """
    gc.freeze()  # else the garbage collector of each command would visit, and so copy, all of it
    selector = DefaultSelector()
    requests = socket.socket(fileno=os.dup(0))
    selector.register(requests, EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is requests:
                request, given, _, _ = socket.recv_fds(requests, LONGEST, 4)
                if not request:
                    return
                start(request, given, selector)
            else:
                report_end(selector, key.fd, *key.data)


def start(request: bytes, given: list[int], selector: DefaultSelector) -> None:
    """Fork a command, and watch for its end."""
    *files, answers = given
    command = os.fork()
    if command == 0:
        close_all(selector)
        os.close(answers)
        become(request, *files)
    for descriptor in files:
        os.close(descriptor)
    os.write(answers, f"{command}\n".encode())
    selector.register(os.pidfd_open(command), EVENT_READ, (command, answers))


def close_all(selector: DefaultSelector) -> None:
    """Close what the fork server has open: a command has only its own files."""
    for key in selector.get_map().values():
        os.close(key.fd)
        if key.data is not None:
            os.close(key.data[1])
    selector.close()


def report_end(selector: DefaultSelector, watched: int, command: int, answers: int) -> None:
    """Answer with the exit status of a command that has ended."""
    selector.unregister(watched)
    os.close(watched)
    _, status = os.waitpid(command, 0)
    with suppress(BrokenPipeError):  # the test did not wait for it
        os.write(answers, f"{status}\n".encode())
    os.close(answers)


def become(request: bytes, into: int, out: int, err: int) -> NoReturn:
    """Run the command in this process, as `python -m registry` does, and end the process."""
    arguments, environment, folder, has_session = json.loads(request)
    if has_session:
        os.setsid()
        if os.isatty(into):
            fcntl.ioctl(into, termios.TIOCSCTTY, 0)
            # Tests that run in the background ignore Ctrl-C, and their commands would too.
            signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, descriptor in enumerate((into, out, err)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.modules["__main__"] = program
    sys.argv = [str(program.__file__), *arguments]
    try:
        program.run()
    except SystemExit as end:
        code = end.code
    else:
        code = 0
    leave(code)


def leave(code: object) -> NoReturn:
    """End as the interpreter does, but destroy no objects: that would copy the memory of all."""
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


def import_everything() -> None:
    """Import all modules of `registry`, and what they import at the first request."""
    for module in pkgutil.walk_packages(import_module("registry").__path__, "registry."):
        import_module(module.name)
    preload_libraries()


if __name__ == "__main__":
    import_everything()
    serve()
