"""Bytes on their way: iterators that cannot end on other bytes, the places where threads live, and how these take turns."""

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
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
    """The same items, made in another thread, at most ``depth`` waiting. Errors arrive where the items would have.

    Whoever stops early waits for the item that is being made; an interrupt waits for nothing.
    """
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: tuple[T] | BaseException | None) -> bool:
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
                if not offer((item,)):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, raised there
            offer(error)
        else:
            offer(None)

    with _stopped([_started(make, "ahead")], stop.set):
        while (got := waiting.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got[0]


def side_by_side(work: Callable[[T], R], items: Iterable[T], *, jobs: int, in_order: bool = True) -> Generator[R, None, None]:
    """``work`` done on each item by ``jobs`` threads; at most ``2 * jobs`` in flight.

    Results come in the items' order; without ``in_order`` as soon as they are there, so that one that takes long holds up no
    other. The first error among them stops everything that has not begun, waits for what has, and is raised here; an
    interrupt waits for nothing.
    """
    if jobs <= 1:
        yield from map(work, items)
        return
    asked: queue.SimpleQueue[tuple[T, Future[R]] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    flying: deque[Future[R]] = deque()
    threads: list[threading.Thread] = []

    def stop() -> None:
        for result in flying:
            result.cancel()
        for _ in threads:
            asked.put(None)

    def landed() -> R:
        result = flying[0] if in_order else done.get()
        flying.remove(result)
        return result.result()

    with _stopped(threads, stop):
        for item in items:
            flying.append(Future())
            if not in_order:
                flying[-1].add_done_callback(done.put)
            asked.put((item, flying[-1]))
            if len(threads) < jobs:
                threads.append(_started(lambda: _labour(work, asked), "work"))
            if len(flying) >= 2 * jobs:
                yield landed()
        while flying:
            yield landed()


@contextmanager
def every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Have a thread of its own call ``act`` so often while the block runs."""
    over = threading.Event()

    def tick() -> None:
        while not over.wait(seconds):
            act()

    with _stopped([_started(tick, "every")], over.set):
        yield


class Turns:
    """Locks by key. Who asks for the same key waits; by chance also who asks for another one, so nobody may hold two."""

    def __init__(self, count: int = 256) -> None:
        self._locks = [threading.Lock() for _ in range(count)]

    def of(self, key: Hashable) -> threading.Lock:
        return self._locks[hash(key) % len(self._locks)]


def _labour(work: Callable[[T], R], asked: queue.SimpleQueue[tuple[T, Future[R]] | None]) -> None:
    while (task := asked.get()) is not None:
        item, result = task
        if result.set_running_or_notify_cancel():
            try:
                result.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - handed to the consumer, raised there
                result.set_exception(error)
        del task, item, result  # what was made is not kept until there is more to do


def _started(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)  # an interrupt ends the process with them
    thread.start()
    return thread


@contextmanager
def _stopped(threads: Sequence[threading.Thread], stop: Callable[[], None]) -> Iterator[None]:
    """Stop the ``threads`` on the way out and wait for their end, but not when a person wants the run to end now."""
    interrupted = False
    try:
        yield
    except BaseException as error:
        interrupted = _is_interrupt(error)
        raise
    finally:
        stop()
        for thread in () if interrupted else threads:
            thread.join()


def _is_interrupt(error: BaseException) -> bool:
    """Whether ``error`` is one, or comes of one: a stage of a pipeline is closed where the interrupt came in another."""
    return isinstance(error, KeyboardInterrupt | SystemExit) or (error.__context__ is not None and _is_interrupt(error.__context__))
