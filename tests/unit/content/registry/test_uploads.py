"""Uploads: committed only when every byte was seen, resumed where that works, and never sent to anyone else."""

import re
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bundler.content.registry import session, upload
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.wire import Patience
from bundler.content.stream import verified
from bundler.errors import Code, IntegrityError, TransportError
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import Exchange, HostileRegistry, Script, answer, dropped, refusal
from tests.support.reach import Reach, fails
from tests.support.uploads import AT, BLOB, DATA, GONE, PUT, SESSION, STORED, UPLOADS, began, chunks, there

Hostile = Callable[..., HostileRegistry]

EMPTY = Descriptor.of(b"", "application/octet-stream")
BASIC = "Basic " + b64encode(b"alice:t0psecret").decode()


def took(last: int | str | None, location: str = SESSION) -> bytes:
    return answer(202, headers={"Location": location} | ({} if last is None else {"Range": f"0-{last}" if isinstance(last, int) else last}))


def alice(server: HostileRegistry) -> dict[str, Any]:
    return {"credentials": Credentials.load(environ={}, username="alice", password="t0psecret", hosts=[server.host])}


class Store:
    """An upload session that keeps what it takes, as the specification has it, and can be told to misbehave once."""

    def __init__(self, server: HostileRegistry) -> None:
        self.server = server
        self.held = bytearray()
        self.committed: bytes | None = None
        self.sessions = 0
        self.misbehave: list[Callable[[Exchange], bytes | None] | None] = []
        server.always("POST", UPLOADS, self.begin).always("HEAD", AT, self.head)
        for method, script in (("PATCH", self.patch), ("GET", self.status), ("PUT", self.put)):
            server.always(method, SESSION, script)

    def begin(self, exchange: Exchange) -> bytes:
        self.held.clear()
        self.sessions += 1
        return began()

    def patch(self, exchange: Exchange) -> bytes | None:
        trick = self.misbehave.pop(0) if self.misbehave else None
        if trick is not None:
            return trick(exchange)
        first, _, last = exchange.headers["content-range"].partition("-")
        if int(first) != len(self.held):
            return answer(416, headers={"Location": SESSION, "Range": self.range})
        self.held += exchange.receive()
        return took(len(self.held) - 1) if len(self.held) == int(last) + 1 else None

    def status(self, exchange: Exchange) -> bytes:
        return answer(204, headers={"Location": SESSION, "Range": self.range}, length=False)

    def put(self, exchange: Exchange) -> bytes:
        self.held += exchange.receive()
        if Descriptor.of(bytes(self.held), "").digest != BLOB.digest:
            return refusal(400, "DIGEST_INVALID")
        self.committed = bytes(self.held)
        return STORED

    def head(self, exchange: Exchange) -> bytes:
        return there(None if self.committed is None else len(self.committed))

    @property
    def range(self) -> str:
        return f"0-{max(len(self.held) - 1, 0)}"


# whole


def test_a_blob_is_sent_whole(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, began()).on("PUT", PUT, STORED)
    reach(server).put(BLOB, chunks())
    post, put = server.asked
    assert (post.body, post.headers["content-length"]) == (b"", "0")
    assert put.body == DATA
    assert put.headers["content-length"] == str(len(DATA))
    assert put.headers["content-type"] == "application/octet-stream"
    assert server.connections == 1


def test_a_blob_without_bytes_is_sent_too(server: HostileRegistry, reach: Reach) -> None:  # F-089
    server.on("POST", UPLOADS, began()).on("PUT", SESSION, STORED)
    reach(server).put(EMPTY, lambda: iter([]))
    assert server.asked[1].headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/app/blobs/uploads/1", PUT),
        ("1", PUT),
        ("{url}/v2/app/blobs/uploads/1", PUT),
        ("//{host}/v2/app/blobs/uploads/1", PUT),
        ("/v2/app/blobs/uploads/1?_state=a%2Fb%3D&x", f"{SESSION}?_state=a%2Fb%3D&x&digest=sha256%3A{BLOB.digest.encoded}"),  # REG-031
    ],
)
def test_an_upload_goes_where_the_registry_says_in_itself(server: HostileRegistry, reach: Reach, location: str, target: str) -> None:
    server.on("POST", UPLOADS, began(location.format(url=server.url, host=server.host))).on("PUT", target, STORED)
    reach(server).put(BLOB, chunks())
    assert server.asked[1].target == target


@pytest.mark.parametrize(
    "place",
    [
        ("{trap}/v2/app/blobs/uploads/1", Code.REGISTRY_ORIGIN),  # REG-029, CVE-2026-50151
        ("//evil.test/x", Code.REGISTRY_ORIGIN),
        ("https://127.0.0.1:{port}/x", Code.REGISTRY_ORIGIN),
        ("http://localhost:{port}/x", Code.REGISTRY_ORIGIN),
        ("http://alice@127.0.0.1:{port}/x", Code.REGISTRY_PROTOCOL),
        ("", Code.REGISTRY_PROTOCOL),  # REG-030
        ("/x y", Code.REGISTRY_PROTOCOL),
        ("/x#y", Code.REGISTRY_PROTOCOL),
        ("/" + "x" * 10_000, Code.REGISTRY_PROTOCOL),
        ("/" + "x" * 1_000_000, Code.REGISTRY_PROTOCOL),
        ("file:///x", Code.REGISTRY_PROTOCOL),
        (None, Code.REGISTRY_PROTOCOL),
    ],
)
@pytest.mark.parametrize("step", ["POST", "PATCH", "mount"])
def test_an_upload_goes_nowhere_else(
    hostile: Hostile, server: HostileRegistry, reach: Reach, place: tuple[str | None, Code], step: str
) -> None:
    trap, (location, code) = hostile(), place
    said = {} if location is None else {"Location": location.format(trap=trap.url, port=server.port)}
    refuse = answer(401, headers={"WWW-Authenticate": "Basic"})
    server.on("POST", UPLOADS, refuse, began() if step == "PATCH" else answer(202, headers=said))
    if step == "PATCH":
        server.on("PATCH", SESSION, answer(202, headers=said | {"Range": "0-9"}))
    repository = reach(server, chunk_size=10 if step == "PATCH" else None, **alice(server))
    error = fails(lambda: repository.mount(BLOB, "base") if step == "mount" else repository.put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, code)
    assert not trap.connections
    assert not server.to("PUT")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_upload_is_not_redirected_elsewhere(hostile: Hostile, server: HostileRegistry, reach: Reach, status: int) -> None:
    trap = hostile()
    server.on("POST", UPLOADS, answer(status, headers={"Location": f"{trap.url}{UPLOADS}"}), began())
    server.on("PUT", PUT, answer(status, headers={"Location": f"{trap.url}{SESSION}"}))
    repository = reach(server)
    for _ in range(2):
        assert fails(lambda: repository.put(BLOB, chunks())).code in {Code.REGISTRY_ORIGIN, Code.REGISTRY_PROTOCOL}
    assert not trap.connections


def test_an_upload_may_be_redirected_within_the_registry(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, answer(307, headers={"Location": "/v2/app/blobs/uploads"})).on("POST", "/v2/app/blobs/uploads", began())
    server.on("PUT", PUT, STORED)
    reach(server).put(BLOB, chunks())


def test_a_blob_that_is_stored_under_another_digest_is_an_error(server: HostileRegistry, reach: Reach) -> None:  # REG-032
    server.on("POST", UPLOADS, began()).on("PUT", PUT, answer(201, headers={"Docker-Content-Digest": str(EMPTY.digest)}))
    error = fails(lambda: reach(server).put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("chunk_size", [None, len(DATA)])
def test_a_blob_is_stored_where_it_reads_back_however_that_is_said(
    server: HostileRegistry, reach: Reach, status: int, chunk_size: int | None
) -> None:
    server.on("POST", UPLOADS, began()).on("PATCH", SESSION, took(len(DATA) - 1)).on("PUT", PUT, answer(status))
    server.on("GET", AT, answer(200, DATA))
    reach(server, chunk_size=chunk_size).put(BLOB, chunks())
    assert len(server.to("PUT")) == 1


@pytest.mark.parametrize("back", [answer(404), answer(200, b"<html>"), answer(200, bytes(len(DATA))), answer(200, DATA + b"x")])
def test_a_blob_that_does_not_read_back_is_not_stored_whatever_is_said(server: HostileRegistry, reach: Reach, back: bytes) -> None:
    server.on("POST", UPLOADS, began()).on("PUT", PUT, answer(200)).on("GET", AT, back)
    error = fails(lambda: reach(server).put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, Code.REGISTRY_READ_BACK)


class OddError(Exception):
    """What an iterator of bytes may raise."""


@pytest.mark.parametrize("size", [1, 999_999, 1_000_000])
@pytest.mark.parametrize("chunk_size", [None, 400_000])
def test_nothing_is_committed_when_the_bytes_fail_at_the_last_moment(
    server: HostileRegistry, reach: Reach, size: int, chunk_size: int | None
) -> None:
    store = Store(server)
    data = DATA[:size]
    asked = 0

    def failing() -> Iterator[bytes]:
        nonlocal asked
        asked += 1
        yield from (data[at : at + 300_000] for at in range(0, len(data), 300_000))
        yield b""
        raise OddError

    blob = Descriptor.of(data, "application/octet-stream")
    with pytest.raises(OddError):
        reach(server, chunk_size=chunk_size).put(blob, failing)
    assert asked == 1
    assert store.committed is None
    assert not [put for put in server.to("PUT") if put.whole]


@pytest.mark.parametrize("chunk_size", [None, 100])
def test_nothing_is_committed_of_a_blob_without_bytes_whose_end_fails(
    server: HostileRegistry, reach: Reach, chunk_size: int | None
) -> None:
    def failing() -> Iterator[bytes]:
        yield from ()
        raise OddError

    server.on("POST", UPLOADS, began())
    with pytest.raises(OddError):
        reach(server, chunk_size=chunk_size).put(EMPTY, failing)
    assert not server.to("PUT")


@pytest.mark.parametrize("chunk_size", [None, 100])
def test_other_bytes_are_never_committed(server: HostileRegistry, reach: Reach, chunk_size: int | None) -> None:
    store = Store(server)
    data = bytes(1000)
    blob = Descriptor.of(bytes(999) + b"x", "application/octet-stream")
    with pytest.raises(IntegrityError) as caught:
        reach(server, chunk_size=chunk_size).put(blob, lambda: verified(blob, iter([data[:500], data[500:]])))
    assert caught.value.code is Code.CONTENT_DIGEST
    assert store.committed is None
    assert not [put for put in server.to("PUT") if put.whole]


@pytest.mark.parametrize(
    ("data", "code"), [(DATA + b"x", Code.CONTENT_SIZE), (DATA[:-1], Code.CONTENT_TRUNCATED), (b"", Code.CONTENT_TRUNCATED)]
)
@pytest.mark.parametrize("chunk_size", [None, 400_000])
def test_bytes_of_another_number_are_never_committed(
    server: HostileRegistry, reach: Reach, data: bytes, code: Code, chunk_size: int | None
) -> None:
    store = Store(server)
    error = fails(lambda: reach(server, chunk_size=chunk_size).put(BLOB, chunks(data)))
    assert (error.exit, error.code) == (4, code)
    assert store.committed is None


def test_an_error_of_the_source_is_not_taken_for_the_registrys(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, began()).on("PUT", PUT, STORED)

    def failing() -> Iterator[bytes]:
        yield DATA[:500_000]
        yield DATA[500_000:600_000]
        raise TransportError("the source is gone", code=Code.REGISTRY_UNREACHABLE)

    assert fails(lambda: reach(server).put(BLOB, failing)).what == "the source is gone"
    assert len(server.to("POST")) == 1


@pytest.mark.parametrize("lost", [dropped, answer(500), answer(503), GONE])
def test_an_upload_that_was_lost_is_begun_again(server: HostileRegistry, reach: Reach, lost: Script) -> None:  # F-041, F-043, F-048
    server.on("POST", UPLOADS, began(), began("/v2/app/blobs/uploads/2")).on("PUT", PUT, lost).on("HEAD", AT, there(None))
    server.on("PUT", "/v2/app/blobs/uploads/2", STORED)
    reach(server).put(BLOB, chunks())
    assert server.to("PUT")[-1].body == DATA


def test_an_upload_whose_answer_was_lost_is_asked_for(server: HostileRegistry, reach: Reach) -> None:  # F-044
    server.on("POST", UPLOADS, began()).on("PUT", PUT, dropped).on("HEAD", AT, there(len(DATA)))
    reach(server).put(BLOB, chunks())
    assert [asked.method for asked in server.asked] == ["POST", "PUT", "HEAD"]


def test_an_upload_that_is_always_lost_is_given_up(server: HostileRegistry, reach: Reach, waits: list[float]) -> None:  # F-048
    server.always("POST", UPLOADS, began()).always("PUT", PUT, dropped).always("HEAD", AT, there(None))
    error = fails(lambda: reach(server).put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)
    assert (len(server.to("PUT")), len(waits)) == (6, 5)


@pytest.mark.parametrize("status", [400, 402, 403, 406, 409, 418, 507])
def test_an_upload_that_is_refused_says_why(server: HostileRegistry, reach: Reach, status: int) -> None:  # F-042, F-054
    server.on("POST", UPLOADS, began()).on("PUT", PUT, refusal(status, "DENIED", "no more room"))
    error = fails(lambda: reach(server).put(BLOB, chunks()))
    assert error.code is (Code.REGISTRY_CREDENTIALS if status == 403 else Code.REGISTRY_STATUS)
    assert f"{status} DENIED: no more room" in str(error)
    assert len(server.to("PUT")) == 1


def test_an_upload_that_was_damaged_on_its_way_is_an_error(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, began()).on("PUT", PUT, refusal(400, "DIGEST_INVALID"))
    assert "DIGEST_INVALID" in str(fails(lambda: reach(server).put(BLOB, chunks())))


def test_a_registry_that_answers_early_is_not_sent_the_rest(server: HostileRegistry, reach: Reach) -> None:
    big = Descriptor("application/octet-stream", BLOB.digest, 1 << 40)
    handed_out = 0

    def endless() -> Iterator[bytes]:
        nonlocal handed_out
        while True:
            handed_out += 1 << 18
            yield bytes(1 << 18)

    heard, unheard = threading.Event(), []

    def early(exchange: Exchange) -> None:
        exchange.receive(1000)
        exchange.send(refusal(507, "DENIED", "full"))
        if not heard.wait(120):  # without taking any more
            unheard.append(exchange)

    server.on("POST", UPLOADS, began()).on("PUT", SESSION, early).on("HEAD", AT, there(None))
    repository = reach(server, patience=Patience(idle=240))  # whoever does not listen is stuck for longer than the registry waits
    error = fails(lambda: repository.put(big, endless))
    assert not repository.has(BLOB)  # over a connection on which no request is half sent
    heard.set()
    assert not unheard
    assert "507 DENIED: full" in str(error)
    assert handed_out < 64 << 20


def test_what_a_registry_said_before_it_hung_up_is_heard(server: HostileRegistry, reach: Reach) -> None:
    def early(exchange: Exchange) -> None:
        exchange.send(refusal(507, "DENIED", "full"))
        exchange.sock.shutdown(socket.SHUT_RDWR)

    server.always("POST", UPLOADS, began()).always("PUT", PUT, early).always("HEAD", AT, there(None))
    assert fails(lambda: reach(server).put(BLOB, chunks(size=1000))).exit == 7


def test_a_token_that_runs_out_during_an_upload_is_fetched_anew(server: HostileRegistry, reach: Reach) -> None:  # F-047, REG-027
    challenge = answer(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token",service="s"'})
    server.on("POST", UPLOADS, challenge, began(), began()).on("PUT", PUT, challenge, STORED)
    server.on("GET", "/token", answer(200, b'{"token":"one"}'), answer(200, b'{"token":"two"}'))
    reach(server).put(BLOB, chunks())
    assert [put.headers["authorization"] for put in server.to("PUT")] == ["Bearer one", "Bearer two"]
    assert server.to("PUT")[1].body == DATA


# in pieces


def pieces(server: HostileRegistry) -> list[str]:
    return [asked.headers["content-range"] for asked in server.to("PATCH")]


def test_a_blob_is_sent_in_pieces_where_that_is_wanted(server: HostileRegistry, reach: Reach) -> None:
    store = Store(server)
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert pieces(server) == ["0-399999", "400000-799999", "800000-999999"]
    assert store.committed == DATA
    assert server.to("PUT")[0].body == b""


@pytest.mark.parametrize(
    ("least", "wanted"), [("600000", ["0-599999", "600000-999999"]), ("100", ["0-399999", "400000-799999", "800000-999999"])]
)
def test_a_registry_says_how_small_a_piece_may_be(server: HostileRegistry, reach: Reach, least: str, wanted: list[str]) -> None:
    store = Store(server)
    server.on("POST", UPLOADS, began(**{"OCI-Chunk-Min-Length": least}))
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert pieces(server) == wanted
    assert store.committed == DATA


def test_a_least_piece_that_is_no_number_is_an_error(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, began(**{"OCI-Chunk-Min-Length": "-1"}))
    assert fails(lambda: reach(server).put(BLOB, chunks())).code is Code.REGISTRY_PROTOCOL


@pytest.mark.parametrize(
    "refused_with",
    [answer(405), answer(411), answer(413), answer(415), answer(501), refusal(400, "BLOB_UPLOAD_INVALID"), refusal(400, "UNSUPPORTED")],
)
def test_a_registry_that_takes_no_blob_whole_gets_it_in_pieces_from_then_on(
    server: HostileRegistry, reach: Reach, refused_with: bytes
) -> None:  # F-051
    store = Store(server)
    server.on("PUT", SESSION, refused_with)
    repository = reach(server)
    repository.put(BLOB, chunks())
    repository.put(BLOB, chunks())
    assert store.committed == DATA
    assert [asked.method for asked in server.asked] == ["POST", "PUT", "POST", "PATCH", "PUT", "POST", "PATCH", "PUT"]


def test_a_long_blob_that_was_lost_once_goes_on_in_pieces(server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "PIECE", 400_000)
    store = Store(server)
    server.on("PUT", SESSION, dropped)
    reach(server).put(BLOB, chunks())
    assert len(pieces(server)) == 3
    assert store.committed == DATA


def test_a_piece_that_was_lost_goes_on_where_the_registry_is(server: HostileRegistry, reach: Reach) -> None:  # F-043
    store = Store(server)

    def half(exchange: Exchange) -> None:
        store.held += exchange.receive(100_000)
        exchange.reset()

    store.misbehave = [None, half]
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert pieces(server) == ["0-399999", "400000-799999", "500000-899999", "900000-999999"]
    assert (store.committed, store.sessions) == (DATA, 1)


@pytest.mark.parametrize(
    "said",
    ["0-1000000", "0-99999999999", "0--5", "-1", "5-399999", "everything", "bytes 0-399999", "0-" + "9" * 30],
)
def test_a_registry_that_claims_more_than_it_was_sent_is_asked_again(server: HostileRegistry, reach: Reach, said: str) -> None:  # REG-038
    store = Store(server)

    def claim(exchange: Exchange) -> bytes:
        store.held += exchange.receive()
        return took(said)

    store.misbehave = [claim]
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert store.committed == DATA


@pytest.mark.parametrize("kept", [0, 1, 2, 399_999])
def test_a_registry_that_kept_less_is_sent_the_rest(server: HostileRegistry, reach: Reach, kept: int) -> None:  # REG-038
    store = Store(server)

    def less(exchange: Exchange) -> bytes:
        store.held += exchange.receive()[:kept]
        return took(max(kept - 1, 0))

    store.misbehave = [less]
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert store.committed == DATA


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_blob_of_few_bytes_may_go_in_pieces_too(server: HostileRegistry, reach: Reach, size: int) -> None:
    blob = Descriptor.of(DATA[:size], "application/octet-stream")
    server.on("POST", UPLOADS, began()).on("PUT", SESSION, STORED).always(
        "PATCH", SESSION, lambda exchange: took(int(exchange.headers["content-range"][2:]))
    )
    reach(server, chunk_size=1).put(blob, chunks(DATA[:size]))
    assert pieces(server) == [f"{at}-{at}" for at in range(size)]


def test_a_registry_that_never_keeps_anything_is_given_up(server: HostileRegistry, reach: Reach) -> None:  # REG-038
    store = Store(server)
    store.misbehave = [lambda _: took(0)] * 1000
    error = fails(lambda: reach(server, chunk_size=400_000).put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)
    assert len(pieces(server)) <= 6


def test_a_registry_that_loses_the_upload_again_and_again_is_given_up(
    server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PROGRESS", 300_000)  # what arrives before each loss would earn all tries again
    server.always("POST", UPLOADS, began()).always("HEAD", AT, there(None)).always("GET", SESSION, GONE)
    server.always("PATCH", SESSION, lambda exchange: took(399_999) if exchange.headers["content-range"].startswith("0-") else GONE)
    error = fails(lambda: reach(server, chunk_size=400_000).put(BLOB, chunks()))
    assert error.exit == 7
    assert len(server.to("POST")) <= 7


def test_a_session_that_is_gone_is_begun_again(server: HostileRegistry, reach: Reach) -> None:  # F-048
    store = Store(server)
    store.misbehave = [None, lambda _: GONE]
    server.on("GET", SESSION, GONE)
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert (store.committed, store.sessions) == (DATA, 2)


def test_a_piece_that_does_not_follow_is_set_right(server: HostileRegistry, reach: Reach) -> None:
    store = Store(server)

    def behind(exchange: Exchange) -> bytes:
        exchange.receive()
        return answer(416, headers={"Range": store.range})

    store.misbehave = [None, behind]
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert (store.committed, store.sessions) == (DATA, 1)


def test_a_registry_that_says_nothing_of_what_it_took_is_believed_until_the_digest(server: HostileRegistry, reach: Reach) -> None:
    store = Store(server)

    def silent(exchange: Exchange) -> bytes:
        store.held += exchange.receive()
        return took(None)

    store.misbehave = [silent] * 3
    reach(server, chunk_size=400_000).put(BLOB, chunks())
    assert store.committed == DATA


@pytest.mark.parametrize("status", [400, 403, 405, 413])
def test_a_piece_that_is_refused_says_why(server: HostileRegistry, reach: Reach, status: int) -> None:
    store = Store(server)
    store.misbehave = [None, lambda _: refusal(status, "DENIED", "enough")]
    error = fails(lambda: reach(server, chunk_size=400_000).put(BLOB, chunks()))
    assert f"{status} DENIED: enough" in str(error)
    assert store.committed is None


def test_each_try_asks_for_the_bytes_from_the_first(server: HostileRegistry, reach: Reach) -> None:
    store = Store(server)
    store.misbehave = [None, dropped]
    walks = 0

    def walked() -> Iterator[bytes]:
        nonlocal walks
        walks += 1
        yield from chunks()()

    reach(server, chunk_size=400_000).put(BLOB, walked)
    assert walks == 2
    assert store.committed == DATA


# mounting


def mount(digest: str = str(BLOB.digest)) -> str:
    return f"{UPLOADS}?mount={digest}&from=base"


def test_a_blob_is_taken_from_a_sibling(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", mount(), answer(201)).on("HEAD", AT, there(len(DATA)))
    assert reach(server).mount(BLOB, "base")


def test_a_mount_without_the_blob_is_none(server: HostileRegistry, reach: Reach) -> None:  # REG-037
    server.on("POST", mount(), answer(201)).on("HEAD", AT, there(None))
    assert not reach(server).mount(BLOB, "base")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_registry_that_does_not_mount_is_no_error(server: HostileRegistry, reach: Reach, status: int) -> None:  # F-051
    server.on("POST", mount(), answer(status))
    assert not reach(server).mount(BLOB, "base")


def test_a_token_service_that_does_not_know_the_sibling_is_no_error(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", mount(), answer(401, headers={"WWW-Authenticate": f'Bearer realm="{server.url}/token"'}))
    server.on("GET", "/token", refusal(403, "DENIED"))
    assert not reach(server).mount(BLOB, "base")


def test_an_upload_that_a_mount_began_is_used(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", mount(), began()).on("PUT", PUT, STORED)
    repository = reach(server)
    assert not repository.mount(BLOB, "base")
    repository.put(BLOB, chunks())
    assert [asked.method for asked in server.asked] == ["POST", "PUT"]


def test_no_secret_is_in_any_address(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, answer(401, headers={"WWW-Authenticate": "Basic"}), began()).on("PUT", PUT, STORED)
    reach(server, **alice(server)).put(BLOB, chunks())
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, BASIC, BASIC]
    assert not re.search("t0psecret|alice", "".join(asked.target for asked in server.asked))
