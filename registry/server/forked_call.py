"""A function that runs in a child process, so that what it imports takes no memory in this one."""

import os
import pickle  # reads only what our own child has sent # nosec B403
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

from registry.errors import EntrepotError
from registry.errors.masking import print_crash

T = TypeVar("T")


class ForkedCall(Generic[T]):
    """Calls `work` in a child process, which begins at once; no other thread may run then.

    What `work` returns has to be a value for `pickle`.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        sys.stdout.flush()  # or the child would print it too
        sys.stderr.flush()
        self._result, there = os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(self._result)
            _call_and_exit(work, there)
        os.close(there)

    def wait(self) -> T:
        """Return what `work` has returned; to be called once.

        Raises:
            EntrepotError: `work` has raised it.
            SystemExit: there is no result; the child has said why.
        """
        with os.fdopen(self._result, "rb") as pipe:
            sent = pipe.read()
        _, status = os.waitpid(self._child, 0)
        if not sent:
            raise SystemExit(os.waitstatus_to_exitcode(status))
        result: T | EntrepotError = pickle.loads(sent)  # noqa: S301 - our own child has sent it # nosec B301
        if isinstance(result, EntrepotError):
            raise result
        return result


def _call_and_exit(work: Callable[[], object], there: int) -> NoReturn:
    code: object = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says that it was interrupted
        try:
            result = work()
        except EntrepotError as error:
            result = error
        with os.fdopen(there, "wb") as pipe:
            pickle.dump(result, pipe)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - the last place before _exit: nothing is re-raised
        print_crash(*sys.exc_info())
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
