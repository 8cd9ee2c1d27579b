"""Exit codes and reason codes are a contract: scripts compare them for years."""

import re
import textwrap

import pytest

from bundler import errors
from bundler.errors import MAX_QUOTED, BundlerError, Code, ConflictError, FormatError, TransportError, UsageError, translated
from tests.support.cases import each

CLASSES: list[type[BundlerError]] = [BundlerError, *BundlerError.__subclasses__()]
WITHOUT_A_FAMILY = {Code.INTERNAL, Code.INTERRUPTED, Code.USAGE}


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = textwrap.dedent(errors.__doc__ or "").partition("::\n")[2]
    listed = re.findall(r"^ *(?:[├└]── )?(\w+Error) +(\d)  \S", drawn, re.MULTILINE)
    assert listed == [(c.__name__, str(c.exit)) for c in CLASSES]


def test_each_class_ends_the_run_with_a_code_of_its_own() -> None:
    assert [c.exit for c in CLASSES] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(more.exit == c.exit for c in CLASSES[1:] for more in c.__subclasses__())  # what says more ends as its class does


@each("code", Code)
def test_a_reason_code_is_a_family_and_a_word(code: Code) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*\.[a-z0-9]+(-[a-z0-9]+)*", code) or code in WITHOUT_A_FAMILY


@each("code", Code)
def test_a_reason_code_says_in_one_line_what_it_means(code: Code) -> None:
    assert re.fullmatch(r"[ -~]{8,120}[^. ]", code.meaning)
    assert "|" not in code.meaning


def test_no_two_reason_codes_are_the_same_or_mean_the_same() -> None:
    assert len(Code.__members__) == len(list(Code)) == len({code.meaning for code in Code})


def test_a_reason_code_is_its_text() -> None:
    assert {Code.DISK_FULL, str(Code.DISK_FULL), f"{Code.DISK_FULL}"} == {"disk.full"}


def test_an_error_says_what_was_found_and_what_was_wanted() -> None:
    error = ConflictError("the name is taken", found=1, wanted=2, next="choose another")
    assert str(error) == "the name is taken: found 1, wanted 2"
    assert (error.code, error.exit, error.found, error.wanted, error.next) == (Code.NAME_CONFLICT, 8, "1", "2", "choose another")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FormatError("no bundle"), "no bundle"),
        (FormatError("no bundle", found=0), "no bundle: found 0"),
        (FormatError("no bundle", wanted=""), "no bundle: wanted "),
    ],
)
def test_what_is_not_known_is_not_said(error: BundlerError, text: str) -> None:
    assert str(error) == text
    assert error.next is None


def test_a_given_reason_code_goes_before_that_of_the_class() -> None:
    assert UsageError("no such file", code=Code.USAGE_INPUT).code is Code.USAGE_INPUT
    assert UsageError("no such file").code is Code.USAGE


def test_a_librarys_exception_leaves_as_ours_and_keeps_its_cause() -> None:
    with (
        pytest.raises(TransportError, match="the disk broke: found on fire") as raised,
        translated(KeyError, OSError, to=TransportError, what="the disk broke", code=Code.DISK_IO, next="use another"),
    ):
        raise OSError("on fire")
    assert (raised.value.code, raised.value.next) == (Code.DISK_IO, "use another")
    assert isinstance(raised.value.__cause__, OSError)


def test_a_librarys_exception_without_words_is_named() -> None:
    with (
        pytest.raises(FormatError, match="cannot be read: found MemoryError"),
        translated(MemoryError, to=FormatError, what="cannot be read"),
    ):
        raise MemoryError


def test_an_exception_that_nobody_foresaw_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), translated(OSError, to=TransportError, what="the disk broke"):
        raise ZeroDivisionError


@pytest.mark.parametrize("field", ["what", "found", "wanted", "next"])
def test_what_is_quoted_is_bounded_whoever_raises(field: str) -> None:
    text = "begins" + "\N{GRINNING FACE}" * 5_000_000 + "ends"
    told = {"what": "it is long", "found": "it", "wanted": "another", "next": "look"} | {field: text}
    error = FormatError(told["what"], found=told["found"], wanted=told["wanted"], next=told["next"])
    said = getattr(error, field)
    assert len(said) <= MAX_QUOTED
    assert said.startswith("begins")
    assert said.endswith("ends")
    assert "[4999060 more characters]" in said
    assert len(str(error)) <= MAX_QUOTED + 40


def test_what_fits_is_quoted_as_it_is() -> None:
    assert FormatError("x" * MAX_QUOTED, found="y" * MAX_QUOTED).found == "y" * MAX_QUOTED
    assert FormatError("x" * MAX_QUOTED).what == "x" * MAX_QUOTED
    assert len(FormatError("x" * (MAX_QUOTED + 1)).what) <= MAX_QUOTED


def test_a_librarys_words_are_shortened_too() -> None:
    with pytest.raises(FormatError) as raised, translated(ValueError, to=FormatError, what="cannot be read"):
        raise ValueError("x" * 1_000_000)
    assert len(str(raised.value)) < 2 * MAX_QUOTED
