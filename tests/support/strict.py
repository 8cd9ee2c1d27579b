"""JSON that is refused."""

import pytest

from bundler.errors import Code, FormatError
from bundler.strictjson import loads

MIB = 1 << 20


def refused(raw: bytes | str, *, limit: int = 20 * MIB, predicate: bool = False, code: Code = Code.FORMAT_JSON) -> str:
    with pytest.raises(FormatError) as raised:
        loads(raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw, limit=limit, predicate=predicate)
    assert raised.value.code is code
    return str(raised.value)
