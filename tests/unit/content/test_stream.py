"""Bytes on their way, and threads that end: a loop cannot end on bad bytes, and nothing hangs."""

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.content.stream import Turns, ahead, every, gathered, side_by_side, verified
from bundler.errors import BundlerError, Code, IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests.support.cases import each

ROOT = Path(__file__).parents[3]
PATIENCE = 120  # seconds that a thread may take to notice, on a machine that does much else


class OtherError(Exception):
    """Whatever a source may raise."""


def described(data: bytes) -> Descriptor:
    return Descriptor.of(data, "application/octet-stream")


# verified


@given(st.lists(st.binary()))
def test_the_described_bytes_pass_in_the_pieces_they_came_in(chunks: list[bytes]) -> None:
    assert list(verified(described(b"".join(chunks)), chunks)) == chunks


def test_bytes_are_checked_in_the_algorithm_of_their_digest() -> None:
    blob = Descriptor("a/b", Digest.of(b"abc", algorithm="sha512"), 3)
    assert gathered(blob, [b"a", b"bc"]) == b"abc"
    with pytest.raises(IntegrityError):
        gathered(blob, [b"abd"])


@pytest.mark.parametrize(
    ("chunks", "code", "passed"),
    [
        pytest.param([b"ab", b"d"], Code.CONTENT_DIGEST, [b"ab", b"d"], id="other bytes"),
        pytest.param([b"ab"], Code.CONTENT_TRUNCATED, [b"ab"], id="cut"),
        pytest.param([], Code.CONTENT_TRUNCATED, [], id="nothing"),
        pytest.param([b"abc", b"d"], Code.CONTENT_SIZE, [b"abc"], id="a byte more"),
        pytest.param([b"abcd"], Code.CONTENT_SIZE, [], id="a byte more at once"),
    ],
)
def test_a_loop_cannot_end_on_bad_bytes(chunks: list[bytes], code: Code, passed: list[bytes]) -> None:
    seen: list[bytes] = []
    with pytest.raises(IntegrityError) as raised:
        seen.extend(verified(described(b"abc"), chunks))
    assert (raised.value.code, raised.value.exit, seen) == (code, 4, passed)


def test_every_error_here_says_both_sizes_or_digests() -> None:
    for chunks in ([b"ab"], [b"abd"]):
        with pytest.raises(BundlerError) as raised:
            gathered(described(b"abc"), chunks)
        assert raised.value.found
        assert raised.value.wanted


def test_more_than_described_is_not_waited_for() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"abc"

    with pytest.raises(IntegrityError, match="longer than described"):
        gathered(described(b"abcabc"), endless())


def test_a_sources_own_error_passes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield b"a"
        raise OtherError

    with pytest.raises(OtherError):
        gathered(described(b"abc"), broken())


# ahead


@given(st.lists(st.integers() | st.none()), st.integers(1, 5))
def test_items_made_ahead_are_the_same_in_the_same_order(items: list[int | None], depth: int) -> None:
    assert list(ahead(items, depth=depth)) == items


def test_items_are_made_in_another_thread_at_most_so_many_ahead() -> None:
    made: list[threading.Thread] = []
    fifth = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(threading.current_thread())
            if len(made) == 5:
                fifth.set()
            yield number

    stream = ahead(items(), depth=3)
    assert next(stream) == 0
    assert fifth.wait(PATIENCE)  # one taken, three waiting, one in the hand
    time.sleep(0.05)
    assert len(made) == 5
    stream.close()  # type: ignore[attr-defined]
    assert made[0] is not threading.current_thread()
    assert not made[0].is_alive()


@pytest.mark.parametrize("error", [OtherError("x"), IntegrityError("x"), KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_an_error_arrives_where_its_item_would_have(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    seen: list[int] = []
    with pytest.raises(type(error)) as raised:
        seen.extend(ahead(items()))
    assert raised.value is error
    assert seen == [1, 2]


def test_an_error_is_an_item_where_it_is_not_raised() -> None:
    error = OtherError()
    assert list(ahead([error, None])) == [error, None]


def test_bad_bytes_are_noticed_through_a_thread() -> None:
    with pytest.raises(IntegrityError):
        list(ahead(verified(described(b"abc"), [b"abd"])))


def test_a_stream_that_nobody_takes_starts_no_thread() -> None:
    before = set(threading.enumerate())
    stream = ahead([1])
    assert set(threading.enumerate()) - before == set()
    del stream


def test_a_consumer_that_raises_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()
    makers: list[threading.Thread] = []

    def endless() -> Iterator[int]:
        makers.append(threading.current_thread())
        try:
            while True:
                yield 1
        finally:
            closed.set()

    def consume() -> None:
        for _ in ahead(endless()):
            raise OtherError

    with pytest.raises(OtherError):
        consume()
    assert closed.wait(PATIENCE)
    makers[0].join(PATIENCE)
    assert not makers[0].is_alive()


def test_an_interrupt_does_not_wait_for_the_item_that_is_being_made() -> None:
    go_on, made = threading.Event(), []

    def stuck() -> Iterator[int]:
        yield 1
        go_on.wait(PATIENCE)
        made.append(2)

    stream = ahead(stuck())
    assert next(stream) == 1
    with pytest.raises(KeyboardInterrupt):
        stream.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert not made
    go_on.set()


# side_by_side


@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items: list[int], jobs: int) -> None:
    assert list(side_by_side(lambda n: n + 1, items, jobs=jobs)) == [n + 1 for n in items]


def test_the_first_waits_for_nobody_and_the_order_holds() -> None:
    second_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second_is_done.wait(PATIENCE)
        if number == 1:
            second_is_done.set()
        return number

    assert list(side_by_side(work, range(4), jobs=2)) == [0, 1, 2, 3]


def test_what_is_done_every_so_often_ends_with_the_block() -> None:
    came = threading.Semaphore(0)
    before = set(threading.enumerate())
    with every(0.001, came.release):
        assert all(came.acquire(timeout=PATIENCE) for _ in range(3))
        assert len(set(threading.enumerate()) - before) == 1
    assert set(threading.enumerate()) <= before


def test_out_of_order_one_that_takes_long_holds_up_no_other() -> None:
    others = threading.Semaphore(0)

    def work(number: int) -> int:
        if number:
            others.release()
            return number
        for _ in range(99):  # ends when all others have, which in order could not be: few of them would have begun
            assert others.acquire(timeout=PATIENCE)
        return number

    got = list(side_by_side(work, range(100), jobs=2, in_order=False))
    assert got[-1] == 0
    assert sorted(got) == list(range(100))


def test_out_of_order_an_error_ends_it_too() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError(number)
        return number

    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="3"):
        for _ in side_by_side(work, itertools.count(), jobs=2, in_order=False):  # how many come before it is chance
            pass
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("jobs", [0, 1])
def test_one_job_is_this_thread(jobs: int) -> None:
    assert list(side_by_side(lambda _: threading.current_thread(), [1, 2], jobs=jobs)) == [threading.current_thread()] * 2


def test_no_more_threads_than_jobs_and_no_more_in_flight_than_twice_as_many() -> None:
    taken, together, most, lock = 0, 0, 0, threading.Lock()
    three = threading.Barrier(3, timeout=PATIENCE)

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    def work(number: int) -> int:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        if number < 3:
            three.wait()
        with lock:
            together -= 1
        return number

    for got, number in enumerate(side_by_side(work, items(), jobs=3)):
        assert got == number
        assert taken - got <= 6
    assert most == 3


def test_one_thread_is_started_for_one_item() -> None:
    before = set(threading.enumerate())  # some of them may be about to end
    [during] = side_by_side(lambda _: set(threading.enumerate()), [1], jobs=8)
    assert len(during - before) == 1


@each("error", [OtherError("x"), IntegrityError("x"), SystemExit(3), MemoryError()])
@each("jobs", [1, 3])
def test_the_first_error_in_the_items_order_is_raised(error: BaseException, jobs: int) -> None:
    def work(number: int) -> int:
        if number == 5:
            raise error
        if number == 6:
            raise ZeroDivisionError
        return number

    seen: list[int] = []
    with pytest.raises(type(error)) as raised:
        seen.extend(side_by_side(work, range(100), jobs=jobs))
    assert raised.value is error
    assert seen == [0, 1, 2, 3, 4]


def test_after_an_error_nothing_new_begins_and_what_has_begun_ends() -> None:
    began: list[int] = []
    ended: list[int] = []
    threads = list[threading.Thread]()
    failed = threading.Event()

    def work(number: int) -> None:
        began.append(number)
        if number == 0:
            threads.append(threading.current_thread())
            failed.wait(PATIENCE)
            raise OtherError
        if number == 1:
            failed.set()
            while not threads:
                time.sleep(0.001)
            threads[0].join(PATIENCE)  # it ends once its error is known
        ended.append(number)

    with pytest.raises(OtherError):
        list(side_by_side(work, range(100), jobs=2))
    assert 1 in ended
    assert sorted(began) == sorted([0, *ended])
    assert len(began) <= 4
    count = len(began)
    time.sleep(0.02)
    assert len(began) == count


def test_an_error_of_the_items_is_raised_and_ends_the_threads() -> None:
    workers = set()

    def items() -> Iterator[int]:
        yield 1
        raise OtherError

    with pytest.raises(OtherError):
        list(side_by_side(lambda _: workers.add(threading.current_thread()), items(), jobs=2))
    assert not any(worker.is_alive() for worker in workers)


def test_a_consumer_that_stops_early_ends_the_threads() -> None:
    workers = set()

    def work(number: int) -> int:
        workers.add(threading.current_thread())
        return number

    results = side_by_side(work, range(1000), jobs=3)
    assert next(results) == 0
    results.close()
    assert workers
    assert not any(worker.is_alive() for worker in workers)


def test_streams_go_through_streams() -> None:
    def work(number: int) -> bytes:
        data = bytes([number]) * 1000
        return gathered(described(data), ahead([data[:500], data[500:]]))

    assert [len(data) for data in side_by_side(work, range(50), jobs=4)] == [1000] * 50


def test_an_interrupt_in_one_stage_does_not_wait_for_another_stage() -> None:
    go_on, done = threading.Event(), []

    def work(number: int) -> int:
        if number:
            go_on.wait(PATIENCE)
            done.append(number)
        return number

    stage = side_by_side(work, [0, 1], jobs=2)
    assert next(stage) == 0
    with pytest.raises(KeyboardInterrupt), closing(stage):
        raise KeyboardInterrupt
    assert not done
    go_on.set()


# Turns


@given(st.lists(st.text(max_size=2)), st.integers(1, 9))
def test_who_asks_for_the_same_key_gets_the_same_lock(keys: list[str], count: int) -> None:
    turns = Turns(count)
    locks = [turns.of(key) for key in keys]
    assert locks == [turns.of(key) for key in keys]
    assert len(set(map(id, locks))) <= count


# A person's Ctrl-C, in a process of its own

STUCK = """
import os, sys, time
from bundler.content.stream import ahead, side_by_side

def stuck(number):
    os.write(1, b"working\\n")  # at once, for there are several
    time.sleep(60)

def items():
    yield 1
    stuck(2)

try:
    for _ in {}:
        pass
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("loop", ["side_by_side(stuck, range(9), jobs=2)", "ahead(items())", "side_by_side(stuck, [1], jobs=1)"])
def test_an_interrupt_ends_the_run_at_once_whatever_its_threads_do(loop: str) -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK.format(loop)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stdout.readline() == b"working\n"
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=PATIENCE)
    assert (run.returncode, said) == (130, b"")
