"""Checkpoints as signed notes, whoever reads them (c2sp.org/tlog-checkpoint, c2sp.org/signed-note)."""

from dataclasses import replace

import pytest

from bundler.errors import Code, TrustError
from bundler.trust.checkpoint import Checkpoint, Signature

ROOT = bytes(range(32))
TEXT = (
    "log.example/42\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n"
    "\u2014 log.example/42 AQIDBHNpZ25lZA==\n\u2014 witness.example BQYHCGNvc2lnbmVk\n"
)


def test_a_checkpoint_is_written_as_it_is_read() -> None:
    lines = Signature("log.example/42", b"\1\2\3\4", b"signed"), Signature("witness.example", b"\5\6\7\x08", b"cosigned")
    made = replace(Checkpoint.of("log.example/42", 7, ROOT), signatures=lines)
    assert str(made) == TEXT
    assert Checkpoint.parse(TEXT) == made


@pytest.mark.parametrize("character", [0x00, 0x1F, 0xD800, 0xDFFF])
def test_what_utf_8_or_a_note_cannot_hold_is_refused(character: int) -> None:
    with pytest.raises(TrustError) as raised:
        Checkpoint.parse(TEXT.replace("log.example", f"log{chr(character)}example"))
    assert raised.value.code is Code.CHECKPOINT_MALFORMED
