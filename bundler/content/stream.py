"""Bytes on their way: iterators that cannot end on other bytes, and the two places where threads live."""

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bundler.errors import Code, IntegrityError
from bundler.oci.descriptor import Descriptor

CHUNK = 256 << 10  # the smallest piece at which a second thread gains nearly all it can, measured

T = TypeVar("T")
R = TypeVar("R")


def verified(blob: Descriptor, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield ``chunks``, and end only if they were the described bytes.

    Raises IntegrityError (``content.size``, ``content.truncated``, ``content.digest``).
    """
    hasher, left = hashlib.new(blob.digest.algorithm), blob.size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"{blob.digest} is longer than described", code=Code.CONTENT_SIZE, wanted=f"{blob.size} bytes")
        hasher.update(chunk)
        yield chunk
    if left:
        raise IntegrityError(
            f"{blob.digest} ends too early",
            code=Code.CONTENT_TRUNCATED,
            found=f"{blob.size - left} bytes",
            wanted=f"{blob.size} bytes",
        )
    if hasher.hexdigest() != blob.digest.encoded:
        raise IntegrityError(
            "content has another digest than described",
            code=Code.CONTENT_DIGEST,
            found=f"{blob.digest.algorithm}:{hasher.hexdigest()}",
            wanted=blob.digest,
        )


def gathered(blob: Descriptor, chunks: Iterable[bytes]) -> bytes:
    """The described bytes whole. For what is small: the caller has looked at ``blob.size``."""
    return b"".join(verified(blob, chunks))


def ahead(chunks: Iterable[T], *, depth: int = 4) -> Iterator[T]:
    """The same items, made in another thread, at most ``depth`` waiting. Errors arrive where the items would have."""
    waiting: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: tuple[T | None, BaseException | None, bool]) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in chunks:
                if not offer((item, None, False)):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, raised there
            offer((None, error, True))
        else:
            offer((None, None, True))

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, error, ended = waiting.get()
            if error is not None:
                raise error
            if ended:
                return
            yield item  # type: ignore[misc] - only an end or an error has no item
    finally:
        stop.set()
        maker.join()


def side_by_side(work: Callable[[T], R], items: Iterable[T], *, jobs: int) -> Iterator[R]:
    """``work`` done on each item by ``jobs`` threads; results in the items' order, at most ``2 * jobs`` in flight.

    The first error stops everything that has not begun, waits for what has, and is raised here.
    """
    if jobs == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="work")
    flying: deque[Future[R]] = deque()
    try:
        for item in items:
            flying.append(pool.submit(work, item))
            if len(flying) >= 2 * jobs:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
