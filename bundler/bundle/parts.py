"""Files that were cut to fit their media, as ``split`` and others name them: they are joined before anything reads them."""

import re
import shlex
from pathlib import Path

_LETTERS = r"(?:[a-z]{2}|aa[a-z])"  # as split counts, with -a 3 too; no .asc or .sig
_PART = re.compile(
    r"(?P<whole>.+)\.(?P<suffix>"
    rf"\d{{1,6}}of\d{{1,6}}|\d{{3,6}}|part-?\d{{1,6}}|(?<=\.zst\.)(?:\d{{1,6}}|{_LETTERS}))"  # FILE.001of007, FILE.001, FILE.part1, FILE.aa
    rf"|x(?P<bare>\d{{2,6}}|{_LETTERS})",  # `split FILE`
    re.DOTALL,
)


def joining(path: Path) -> str | None:
    """How to join a file that is not a bundle with the other parts, if it has the name of a part; else None.

    The command takes what has the same kind of suffix, so not the ``.sha256`` beside it.
    """
    got = _PART.fullmatch(path.name)
    if got is None:
        return None
    suffix: str = got["suffix"] or got["bare"]
    alike = re.sub("[0-9]+", "[0-9]*", suffix, count=1) if re.search("[0-9]", suffix) else "?" * len(suffix)
    whole, beside = got["whole"] or "NAME.oci.tar.zst", f"{got['whole']}." if got["whole"] else "x"
    parts, to = (shlex.quote(str(path.with_name(name))) for name in (beside, whole))
    return f"it looks like a part of a split file; join all of them, in their order: cat {parts}{alike} > {to}"
