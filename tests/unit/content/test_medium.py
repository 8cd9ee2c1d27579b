"""A file as a medium."""

from pathlib import Path

import pytest

from bundler.content.medium import FileMedium


@pytest.mark.parametrize("size", [0, 1, 5_000_001])
def test_a_file_gives_what_it_was_given(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    with (tmp_path / "file").open("wb") as file:
        medium = FileMedium(file)
        assert medium.write(data[at : at + 70_001] for at in range(0, size, 70_001)) == size
        medium.sync()
        assert medium.size == size
    assert (tmp_path / "file").read_bytes() == data


def test_a_file_is_read_at_any_place_up_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb") as file:
        medium, view = FileMedium(file), memoryview(bytearray(4))
        assert [(medium.read_into(view, at), bytes(view)) for at in (3, 0, 8, 10, 100)] == [
            *((4, b"3456"), (4, b"0123"), (2, b"8923"), (0, b"8923"), (0, b"8923")),
        ]
        assert medium.size == 10
