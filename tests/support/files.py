"""Files that belong together: what was there, what is written, and what is there then."""

from pathlib import Path

from bundler.content.together import together

NAMES = ("out", "out.sum", "out.sum.sig")
OLD = {name: f"old {name}".encode() * 1000 for name in NAMES}
NEW = {name: f"new {name}".encode() * 1001 for name in NAMES}


def write(folder: Path, *, replace: bool = False, contents: dict[str, bytes] = NEW, then: BaseException | None = None) -> None:
    main, *beside = (folder / name for name in contents)
    with together(main, *beside, replace=replace) as files:
        for file, data in zip(files, contents.values(), strict=True):
            file.write(data)
        if then is not None:
            raise then


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def named(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in read(folder).items() if not name.startswith(".")}


def put(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
