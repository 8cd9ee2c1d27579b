"""Reading foreign bytes once where they lie in many places: an attestation may be a layer a thousand times over."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

from bundler.errors import BundlerError

T = TypeVar("T")


def once(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """``read``, which is not asked again about the bytes that it was asked about last, whether it gave something or refused."""

    @lru_cache(maxsize=1)  # of what may be 16 MiB; pieces of evidence come sorted by their payload
    def ended(raw: bytes) -> tuple[T | None, BundlerError | None]:
        try:
            return read(raw), None
        except BundlerError as error:
            return None, error.with_traceback(None)

    @wraps(read)
    def again(raw: bytes) -> T:
        value, error = ended(raw)
        if error is not None:
            raise error.with_traceback(None)
        return value  # type: ignore[return-value]  # there is either an error or a value, which may be None itself

    return again
