"""Regular expressions of bounded cost: what is taken, what is refused, and how long the worst may take."""

import warnings

import pytest

from bundler.errors import Code, FormatError
from bundler.trust.pattern import MAX_PATTERN, compiled
from tests.support.cases import each

TAKEN = {
    r"https://github\.com/example/app/\.github/workflows/release\.ya?ml@refs/tags/v[0-9]+": (
        "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v7"
    ),
    r"^https://github\.com/example/[^/]+/\.github/workflows/[^@]+@refs/heads/main$": (
        "https://github.com/example/app/.github/workflows/ci.yaml@refs/heads/main"
    ),
    r"[a-z-]+@builds\.example": "nightly@builds.example",
    r"(?:release|nightly)@(example|test)\.org": "nightly@test.org",
    r"v\d{1,3}\.\d{1,3}(?:\.\d{1,3})?": "v1.20",
    r"\Aa{2,}b{,3}c{2}\Z": "aaabbcc",
    r"(?:ab)*": "ababab",
    r"(a+)?b": "b",
    r"[]x]": "]",
    r"[^]x]\-[\]\\]": r"y-\ "[:3],
    r"a|": "",
    r"\w\W\s\S\D": "a- bc",
    r"((((((((((a))))))))))": "a",
    # As the preset for GitHub writes it: what is repeated ends where the next character stands, which is none of it.
    r"https://github\.com/example/[^/@]{1,100}/\.github/workflows/[^@]+@refs/(heads|tags)/.+": (
        "https://github.com/example/app/.github/workflows/release.yaml@refs/tags/v1"
    ),
    r"(?:[a-z]{1,9}/)+[a-z0-9]{1,63}\.example": "a/b/c.example",
    r"a*?b+?c??d{1,2}?": "abd",
    r"}]{1}": "}]",
    "é{3}": "ééé",
    "a b-c,d#e": "a b-c,d#e",
}


@each(("text", "name"), TAKEN.items())
def test_an_expression_as_people_write_it_is_taken(text: str, name: str) -> None:
    assert compiled(text).fullmatch(name)
    assert not compiled(text).fullmatch("\0" + name)


@each(
    "text",
    [
        *("(a+)+", "(a*)*", "(?:a|b)*", "(?:a|aa)+", "(a?)+", "(?:a{0,2})*", "(?:)*", "(?:a|)*", r"\b*", r"(?:\b\B)+", "(?:a{1,2}){1,}"),
        *(
            "(?:[a-z]+/)*",
            "[^/]{1,999}/?[^/]{1,999}a{1,999}b",
            "[a/]{1,999}/[b/]{1,999}/[c/]{1,999}/d",
            ".*a.*b.*",
            "a+b+c+",
            "a{2,}b{3,}c{4,}",
            "(?:a+b){3}",
            "(?:a+)?b+c+",
            "(a+|b+|c+)",
            "[^/]*/[^/]*/[^/]*",
        ),
        *("a?" * 40 + "a" * 40, "(?:a|a)" * 40, "(?:a?){1000}", "(?:(?:a|b){10}){10}", "a{0,1000}" * 4, "a{0,9}" * 20),
        *(".*.*" + "a" * 200 + "b", ".*.*(?:ab|ac|ad|ae)[a-z]b", ".*" + "a?" * 20 + "b", "(?:ab)*(?:cd)*" + "[a-z]" * 50),
        # A choice of groups does not end where the next character stands, and what comes after two repeats costs each of their ways.
        *("(?:a|aa)a" * 40, ".*a.*" + "." * 55 + "b", ".*a.*" + r"\w" * 55 + "b", ".*a.*" + "[ab]" * 55 + "b", ".*a.*" + "(a)" * 55 + "b"),
        *(".*a.*" + r"\B" * 55 + "b", ".*a.*" + "a?" * 5 + "b", ".*a.*" + "(?:a|b)" * 5 + "b"),
        *("(?:[a-z]{0,999}){999}", "(?:(?:(?:a{999}){999}){999}){999}"),
    ],
)
def test_an_expression_with_which_a_name_could_keep_a_station_busy_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as refusal:
        compiled(text)
    assert refusal.value.code is Code.TRUST_FORM


@each(
    "text",
    [
        *(r"(a)\1", "(?P<x>a)(?P=x)", "(?P<x>a)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?i)a", "(?i:a)", "(?#a)", "(a)(?(1)b)"),
        *("a*+", "a++", "a?+", "a{1}+", "a{2}{2}", "a**", "*a", "+", "?a", "a|*", "a{", "a{x}", "{1}", "a{3,2}", "a{1001}", "a{,}"),
        *(
            "(",
            ")",
            "(a",
            "a)",
            "()a)",
            "[",
            "[]",
            "[^]",
            "[a",
            "[[a]",
            "[a[:alpha:]]",
            "[a--b]",
            "[a&&b]",
            "[a~~b]",
            "[a||b]",
            "[z-a]*b",
            "[z-a]",
            "\\",
            "a\\",
            r"\x41",
            r"\u0041",
            r"\N{DIGIT ONE}",
        ),
        *(r"\0", r"\8", r"\g", r"\z", "(" * 21 + "a" + ")" * 21, "a" * (MAX_PATTERN + 1)),
    ],
)
def test_what_is_not_taken_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as refusal:
        compiled(text)
    assert refusal.value.code is Code.TRUST_FORM
    assert len(str(refusal.value)) < 600


def test_an_expression_at_its_limits_is_taken() -> None:
    compiled("a" * MAX_PATTERN)
    compiled("(" * 19 + "a" + ")" * 19)
    compiled("a{1000}")
    compiled(".*a.*b")
    compiled(".*a.*" + "a" * 55 + "b")


def test_an_expression_that_takes_as_many_steps_as_the_limit_is_taken() -> None:
    """Two repeats have 2,049 ways each; before, between and behind them, what adds up to 2^28."""

    def of(before: int) -> str:
        return "a" * before + ".*" + "." * 480 + "a" + ".*" + "a" * 59

    compiled(of(67))
    with pytest.raises(FormatError, match=f"at most {2**28} steps"):
        compiled(of(68))


def test_a_class_that_python_will_read_otherwise_one_day_is_refused_where_nobody_heeds_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in ("[a--b]", "[a&&b]", "[a~~b]", "[a||b]"):
            with pytest.raises(FormatError, match="otherwise one day"):
                compiled(text)


@pytest.mark.parametrize("text", ["[", "[a", "[[a]"])
def test_a_class_that_is_not_taken_is_said(text: str) -> None:
    with pytest.raises(FormatError, match="a class of characters that is not taken"):
        compiled(text)
