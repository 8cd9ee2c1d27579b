"""The guard at every library boundary: whatever a library raises on foreign bytes is one of our errors when it leaves.

Which exceptions a library has for bytes that it cannot read is nowhere promised, and changes with its version: a table
without an entry gives a KeyError, and Rust that panics gives an exception that derives from BaseException. So none is
listed here, at no place, and one piece of evidence can end no run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidSignature

from bundler.errors import BundlerError, Code, FormatError

# What says nothing about the bytes: our own answers, somebody who ends the run, and a machine that cannot go on.
_NOT_THE_LIBRARYS = (BundlerError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
_MAX_FOUND = 160  # characters of what the library says; it may repeat what it read


@contextmanager
def foreign(what: str, *, code: Code, to: type[BundlerError] = FormatError) -> Iterator[None]:
    """Let nothing that a library raises leave this block, or the function that it decorates, but as ``to`` with ``code``.

    Objects that a library made from foreign bytes read them late, so whatever is asked of one belongs inside too. Our own
    errors pass through as they are, as do KeyboardInterrupt, SystemExit and MemoryError.
    """
    try:
        yield
    except _NOT_THE_LIBRARYS:
        raise
    except BaseException as error:  # the one place beside cli/main that takes all: a panic in Rust is not an Exception
        raise to(what, code=code, found=ascii(str(error))[:_MAX_FOUND] if str(error) else type(error).__name__) from error


def verifies(check: Callable[[], object]) -> bool:
    """Whether ``check``, a library's verification of one signature, goes on: False where it raises InvalidSignature.

    Raises FormatError (``signature.malformed``) for whatever else it raises.
    """
    with foreign("a signature cannot be verified", code=Code.SIGNATURE_MALFORMED):
        try:
            check()
        except InvalidSignature:
            return False
        return True
