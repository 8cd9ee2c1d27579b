"""What a vector is, and how one is added: a function that makes a bundle, and how verify must end on it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bundler.errors import Code
from tests.support.making import Parts


@dataclass(frozen=True)
class Vector:
    """A bundle, and how verify must end on it."""

    name: str
    section: str
    description: str
    exit: int
    code: Code | None
    make: Callable[[], bytes]

    @property
    def told(self) -> dict[str, Any]:
        return {"description": self.description, "section": self.section, "exit": self.exit, "code": self.code and str(self.code)}


Make = Callable[[], Parts | bytes]


class Vectors(list[Vector]):
    """The vectors of one module, in the order in which they stand there."""

    def valid(self, name: str, section: str, description: str) -> Callable[[Make], None]:
        return self.refused(name, section, None, description, exit=0)

    def refused(self, name: str, section: str, code: Code | None, description: str, *, exit: int = 3) -> Callable[[Make], None]:  # noqa: A002
        def remember(make: Make) -> None:
            def data() -> bytes:
                made = make()
                return made if isinstance(made, bytes) else made.file()

            self.append(Vector(name, section, description, exit, code, data))

        return remember
