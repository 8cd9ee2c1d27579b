"""Blobs from a registry that cuts, repeats, lies about sizes, and never ends."""

import os
import tracemalloc
from collections.abc import Iterator

import pytest

from bundler.content.stream import CHUNK, gathered, verified
from bundler.errors import BundlerError, Code, IncompleteError, IntegrityError, TransportError
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import Exchange, HostileRegistry, answer, dropped, head_only, refusal
from tests.support.reach import Reach

DATA = os.urandom(3 * CHUNK + 1000)
BLOB = Descriptor.of(DATA, "application/octet-stream")
EMPTY = Descriptor.of(b"", "application/octet-stream")
AT = f"/v2/app/blobs/{BLOB.digest}"


def part(first: int, last: int, *, body: bytes | None = None, said: str | None = None, **headers: str) -> bytes:
    content = DATA[first : last + 1] if body is None else body
    return answer(206, content, {"Content-Range": said or f"bytes {first}-{last}/{len(DATA)}"} | headers)


def cut(count: int) -> bytes:
    """The whole blob is promised, and so many bytes of it come."""
    return answer(200, DATA[:count], {"Content-Length": str(len(DATA)), "Connection": "close"})


def fails(chunks: Iterator[bytes]) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        for _ in chunks:
            pass
    return caught.value


def test_a_blob_comes_in_pieces_of_the_house_size(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(200, DATA))
    assert [len(piece) for piece in reach(server).chunks(BLOB)] == [CHUNK, CHUNK, CHUNK, 1000]
    assert "range" not in server.asked[0].headers


def test_a_blob_without_bytes_is_asked_for_too(server: HostileRegistry, reach: Reach) -> None:  # F-089
    server.on("GET", f"/v2/app/blobs/{EMPTY.digest}", answer(200), answer(404))
    assert gathered(EMPTY, reach(server).chunks(EMPTY)) == b""
    assert fails(reach(server).chunks(EMPTY)).code is Code.BLOB_MISSING


def test_a_blob_that_is_not_there_is_incomplete(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, refusal(404, "BLOB_UNKNOWN"))
    error = fails(reach(server).chunks(BLOB))
    assert isinstance(error, IncompleteError)
    assert (error.exit, error.code) == (6, Code.BLOB_MISSING)


@pytest.mark.parametrize("body", [DATA[:-1] + b"x", b"x" * len(DATA)])
def test_other_bytes_never_pass(server: HostileRegistry, reach: Reach, body: bytes) -> None:  # REG-001
    server.on("GET", AT, answer(200, body))
    error = fails(verified(BLOB, reach(server).chunks(BLOB)))
    assert (error.exit, error.code) == (4, Code.CONTENT_DIGEST)


def test_a_blob_without_end_is_left_at_the_first_byte_too_many(server: HostileRegistry, reach: Reach) -> None:  # REG-007
    def endless(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        exchange.pour(b"x" * 65536)

    server.on("GET", AT, endless)
    pieces = list(reach(server).chunks(BLOB))
    assert sum(map(len, pieces)) == BLOB.size + 1
    error = fails(verified(BLOB, iter(pieces)))
    assert isinstance(error, IntegrityError)
    assert (error.exit, error.code) == (4, Code.CONTENT_SIZE)


def test_a_blob_that_ends_where_its_registry_says_so_is_too_short(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(200, DATA[:-1]))
    error = fails(verified(BLOB, reach(server).chunks(BLOB)))
    assert (error.exit, error.code) == (4, Code.CONTENT_TRUNCATED)


def test_a_blob_that_is_cut_goes_on_where_it_was(
    server: HostileRegistry, reach: Reach, waits: list[float]
) -> None:  # REG-008, F-043, F-046
    size = len(DATA)
    server.on("GET", AT, cut(CHUNK + 5), part(CHUNK + 5, size - 1, Connection="close")[:-100], dropped, part(size - 100, size - 1))
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA
    assert [asked.headers.get("range") for asked in server.asked] == [
        None,
        f"bytes={CHUNK + 5}-",
        f"bytes={size - 100}-",
        f"bytes={size - 100}-",
    ]
    assert len(waits) == 3


def test_a_blob_that_is_cut_behind_its_last_byte_is_whole(server: HostileRegistry, reach: Reach) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n" % len(DATA)
    server.on("GET", AT, chunked + DATA)
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA


def test_a_blob_that_is_given_whole_again_is_read_past(server: HostileRegistry, reach: Reach) -> None:  # REG-046
    server.on("GET", AT, cut(CHUNK + 5), answer(200, DATA))
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA


def test_a_registry_may_give_less_than_was_asked_for(server: HostileRegistry, reach: Reach) -> None:
    size = len(DATA)
    server.on("GET", AT, cut(10), part(10, 99), part(100, size - 1, said=f"bytes 100-{size - 1}/*"))
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA


def test_a_blob_is_never_joined_from_parts_that_do_not_fit(server: HostileRegistry, reach: Reach) -> None:  # REG-046
    size = len(DATA)
    for odd in (
        part(0, size - 1),
        part(11, size - 1),
        part(9, size - 1),
        part(10, size - 1, said=f"bytes 10-{size - 1}/{size + 1}"),
        part(10, size - 1, said="bytes 10-20/*"),
        part(10, size - 1, said="bytes ten-"),
        answer(206, DATA[10:]),
    ):
        server.on("GET", AT, cut(10), odd)
        error = fails(reach(server).chunks(BLOB))
        assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


@pytest.mark.parametrize("status", [206, 201, 204, 304, 416])
def test_a_part_of_what_was_asked_for_whole_is_refused(server: HostileRegistry, reach: Reach, status: int) -> None:  # REG-046
    server.on("GET", AT, part(0, len(DATA) - 1) if status == 206 else answer(status))
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_STATUS)


def test_a_range_that_the_registry_does_not_have_is_an_error(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, cut(10), answer(416, headers={"Content-Range": "bytes */10"}))
    assert fails(reach(server).chunks(BLOB)).code is Code.REGISTRY_STATUS


def test_a_blob_that_arrives_a_byte_at_a_time_is_given_up(server: HostileRegistry, reach: Reach) -> None:  # F-043
    server.always("GET", AT, _one_more)
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)
    assert len(server.asked) == 6


def _one_more(exchange: Exchange) -> None:
    start = int(exchange.headers.get("range", "bytes=0-")[6:-1])
    if start:
        exchange.send(part(start, len(DATA) - 1, body=DATA[start : start + 1], **{"Content-Length": str(len(DATA) - start)}))
    else:
        exchange.send(cut(1))


def test_parts_of_a_byte_each_are_given_up(server: HostileRegistry, reach: Reach) -> None:
    def one(exchange: Exchange) -> bytes:
        start = int(exchange.headers.get("range", "bytes=0-")[6:-1])
        return part(start, start) if start else cut(1)

    server.always("GET", AT, one)
    assert fails(reach(server).chunks(BLOB)).exit == 7
    assert len(server.asked) == 6


def test_a_long_blob_may_be_cut_more_often_than_a_request_is_tried(server: HostileRegistry, reach: Reach) -> None:
    data = os.urandom(8 << 20)
    blob = Descriptor.of(data, "application/octet-stream")

    def a_mebibyte_more(exchange: Exchange) -> bytes:
        start = int(exchange.headers.get("range", "bytes=0-")[6:-1])
        headers = {"Content-Length": str(len(data) - start), "Connection": "close"}
        headers |= {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        return answer(206 if start else 200, data[start : start + (1 << 20)], headers)

    server.always("GET", f"/v2/app/blobs/{blob.digest}", a_mebibyte_more)
    assert gathered(blob, reach(server).chunks(blob)) == data
    assert len(server.asked) == 8


def test_a_blob_without_a_length_that_is_cut_goes_on_where_it_was(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(200, DATA[:1000], {"Connection": "close"}, length=False), part(1000, len(DATA) - 1))
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA


def test_a_blob_that_is_dropped_halfway_costs_one_connection(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(200, DATA), answer(200, DATA))
    repository = reach(server)
    chunks = repository.chunks(BLOB)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert gathered(BLOB, repository.chunks(BLOB)) == DATA
    assert server.connections == 2


def test_a_connection_serves_one_request_after_another(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", AT, answer(200, DATA)).always("HEAD", AT, head_only(200, {"Content-Length": str(len(DATA))}))
    repository = reach(server)
    for _ in range(3):
        assert repository.has(BLOB)
        assert gathered(BLOB, repository.chunks(BLOB)) == DATA
    assert server.connections == 1


def test_a_blob_of_any_size_takes_little_memory(server: HostileRegistry, reach: Reach) -> None:
    megabyte, count = os.urandom(1 << 20), 64
    blob = Descriptor("application/octet-stream", BLOB.digest, count << 20)

    def long(exchange: Exchange) -> None:
        exchange.send(answer(200, headers={"Content-Length": str(blob.size)}, length=False))
        for _ in range(count):
            exchange.send(megabyte)

    server.on("GET", AT, long)
    tracemalloc.start()
    try:
        assert sum(len(piece) for piece in reach(server).chunks(blob)) == blob.size
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("status", "headers", "there"),
    [
        (200, {"Content-Length": str(len(DATA))}, True),
        (200, {"Content-Length": str(len(DATA) + 1)}, False),  # REG-036
        (200, {"Content-Length": "0"}, False),
        (200, {}, False),
        (404, {}, False),
    ],
)
def test_a_blob_is_there_if_it_is_there_in_its_size(
    server: HostileRegistry, reach: Reach, status: int, headers: dict[str, str], there: bool
) -> None:
    server.on("HEAD", AT, head_only(status, headers))
    assert reach(server).has(BLOB) is there


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_registry_without_head_is_asked_with_get(server: HostileRegistry, reach: Reach, status: int) -> None:  # F-051
    server.on("HEAD", AT, head_only(status)).on("GET", AT, answer(200, DATA))
    assert reach(server).has(BLOB)


def test_a_registry_that_refuses_says_why(server: HostileRegistry, reach: Reach) -> None:
    server.on("HEAD", AT, head_only(400)).on("GET", AT, answer(400, b"Client sent an HTTP request to an HTTPS server.\n"))
    with pytest.raises(TransportError) as caught:
        reach(server).has(BLOB)
    assert caught.value.code is Code.REGISTRY_STATUS
    assert caught.value.next == "leave --plain-http out"
