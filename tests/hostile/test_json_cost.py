"""What JSON that nobody has vouched for costs: a look at each character, and a few times its size."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from bundler.errors import Code
from bundler.strictjson import loads_by_items
from tests.support.looks import SECOND, looks
from tests.support.strict import refused

ROOT = Path(__file__).parents[2]

MIB = 1 << 20


def quick(raw: bytes, *, code: Code = Code.FORMAT_JSON) -> str:
    said: list[str] = []
    assert looks(lambda: said.append(refused(raw, predicate=True, code=code))) < 5 * SECOND  # json and re run in C
    return said[0]


@pytest.mark.parametrize(
    ("before", "piece", "behind"),
    [
        pytest.param('["', '\\"', "", id="escapes in a string without an end"),
        pytest.param('["', "\\\\", "", id="backslashes in a string without an end"),
        pytest.param('["', '\\"', "\\", id="escapes in a string without an end, the last one cut"),
        pytest.param("[", '"a"', "", id="strings without commas"),
        pytest.param("[[[", "]]", "", id="brackets that close nothing"),
        pytest.param("", "11", "", id="digits without an end"),
        pytest.param("[1e", "11", "]", id="an exponent without an end"),
    ],
)
def test_refusing_takes_no_more_than_a_look_at_each_character(before: str, piece: str, behind: str) -> None:
    quick((before + piece * (4 * MIB) + behind).encode())


def test_one_of_many_names_twice_is_found_at_once() -> None:
    names = "".join(f'"{n}":0,' for n in range(80_000))
    assert "JSON has a name twice: found '7'" in quick(f'{{{names}"7":1}}'.encode())


MEASURED = """
import re, sys
from pathlib import Path
from bundler import strictjson

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

raw = sys.stdin.buffer.read()
before = peak()
strictjson.loads(raw, limit=len(raw), predicate=True)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(',"' + "A" * (4 * MIB - 50) + '"', id="long strings, as base64 is"),
        pytest.param(',"abcd"', id="as many strings as may be"),
        pytest.param(',{"a":"bcdefg"          }', id="as many objects as may be"),
        pytest.param(",[]          ", id="as many lists as may be"),
        pytest.param(',"\\ud83d\\ude00"', id="strings that are looked at one by one"),
    ],
)
def test_what_is_read_takes_at_most_twelve_times_its_size(piece: str) -> None:
    raw = ("[" * 17 + "0" + piece * ((16 * MIB - 50) // len(piece)) + "]" * 17).encode()
    measured = subprocess.run([sys.executable, "-c", MEASURED], input=raw, capture_output=True, check=True, cwd=ROOT)
    assert int(measured.stdout) < 12 * len(raw)


def test_a_long_list_takes_no_more_than_what_is_read_of_it() -> None:
    raw = b'{"long":[' + b'{"name":"01234567890123456789","more":[]},' * 100_000 + b"{}]}"
    tracemalloc.start()
    found = loads_by_items(raw, limit=len(raw), longest=100, lists={("long",): len})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found["long"]) == 100_001
    assert peak < 2 * len(raw)  # the text, and the tuple; all items at once are twenty times as much


def filled(piece: str) -> bytes:
    return ("[" + piece * ((16 * MIB - 2) // len(piece)) + "0]").encode()


@pytest.mark.parametrize("piece", ["[],", "{},", '{"":0},', '"ab",', "1e9,", '"😀",[],[],[],[],[],[],'])
def test_more_values_than_any_real_document_has_are_refused_unparsed(piece: str) -> None:
    assert "too many values" in quick(filled(piece), code=Code.LIMIT_DOCUMENT)
