"""Where requests may go, and to whom a login may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.content.registry.origin import MAX_URL, MalformedError, Origin, Url, may_ask_for_tokens
from tests.support.cases import each

HERE = Url.parse("https://registry.example/v2/app/blobs/uploads/?a=b")


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Registry.Example", "https://registry.example", "/"),
        ("https://registry.example:443/v2/", "https://registry.example", "/v2/"),
        ("http://registry.example:443/v2/?a=b&c", "http://registry.example:443", "/v2/?a=b&c"),
        ("http://[::1]:5000/x", "http://[::1]:5000", "/x"),
        ("https://10.0.0.1/?q", "https://10.0.0.1", "/?q"),
    ],
)
def test_a_url_is_an_origin_and_a_target(text: str, origin: str, target: str) -> None:
    url = Url.parse(text)
    assert (str(url.origin), url.target) == (origin, target)


@each(
    "text",
    [
        "file:///etc/passwd",
        "ftp://registry.example/x",
        "unix:/run/x.sock",
        "data:text/plain,x",
        "javascript:x",
        "//registry.example/x",
        "/v2/",
        "",
        "https:///x",
        "https://user:pass@registry.example/",
        "https://@registry.example/",
        "https://registry.example/#part",
        "https://registry.example:99999/",
        "https://registry.example:0/",
        "https://registry.example:x/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://registry.example\\@other.example/",
        "https://regis try.example/",
        "https://registry.example/a\r\nb",
        "https://registry.example/ä",
        "https://.example/",
        "https://a..example/",
        f"https://{'x' * 64}.example/",
        "https://a/" + "x" * MAX_URL,
    ],
)
def test_a_url_of_any_other_form_is_refused(text: str) -> None:  # REG-018, REG-020, REG-023, REG-030
    with pytest.raises(MalformedError):
        Url.parse(text)


@pytest.mark.parametrize(
    ("location", "joined"),
    [
        ("/v2/app/blobs/uploads/1?state=x%2Fy", "https://registry.example/v2/app/blobs/uploads/1?state=x%2Fy"),
        ("1?state=x", "https://registry.example/v2/app/blobs/uploads/1?state=x"),
        ("https://registry.example:443/u", "https://registry.example/u"),
        ("//other.example/u", "https://other.example/u"),
        ("http://registry.example/u", "http://registry.example/u"),
    ],
)
def test_a_location_is_relative_or_absolute(location: str, joined: str) -> None:
    assert str(HERE.join(location)) == joined


@each("location", ["", " /x", "/x y", "/x\r\nHost: y", "/x\x00", "/x#y", "mailto:x", "//[", "\\\\x\\y", "?" + "x" * MAX_URL])
def test_a_location_of_any_other_form_is_refused(location: str) -> None:  # REG-030
    with pytest.raises(MalformedError):
        HERE.join(location)


@given(st.text(max_size=60))
def test_any_location_is_joined_or_refused(location: str) -> None:
    try:
        joined = HERE.join(location)
    except MalformedError:
        return
    assert joined.target.isascii()
    assert joined.target.isprintable()
    assert " " not in joined.target


@pytest.mark.parametrize(("target", "wanted"), [("/u", "/u?digest=a%3Ab"), ("/u?s=1", "/u?s=1&digest=a%3Ab")])
def test_a_parameter_is_added_to_those_there(target: str, wanted: str) -> None:  # REG-031
    assert Url(HERE.origin, target).with_query("digest", "a:b").target == wanted


def test_what_is_added_to_a_url_cannot_add_more() -> None:  # REG-024
    assert HERE.with_query("scope", "a&b=c#d\r\nHost: e/f").target.endswith("&scope=a%26b%3Dc%23d%0D%0AHost%3A%20e%2Ff")


@each(
    ("registry", "realm"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io"),
        ("https://registry.gitlab.com", "https://gitlab.com"),
        ("https://registry.gitlab.com", "https://a.b.gitlab.com"),
        ("https://ghcr.io", "https://ghcr.io"),
        ("https://quay.io:8443", "https://quay.io"),
        ("https://registry.example.co.uk", "https://auth.example.co.uk"),
        ("https://10.0.0.1", "https://10.0.0.1:5001"),
        ("http://registry.lab", "https://auth.lab.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001"),
        ("http://registry.lab.example:5000", "http://auth.lab.example:5001"),
    ],
)
def test_a_token_service_of_the_registry_may_see_the_login(registry: str, realm: str) -> None:
    listed = frozenset({"auth.lab.example"}) if registry == "http://registry.lab" else frozenset[str]()
    assert may_ask_for_tokens(Url.parse(registry).origin, Url.parse(realm).origin, listed=listed)


@each(
    ("registry", "realm"),
    [
        ("https://registry.example", "https://evil.test"),
        ("https://ghcr.io", "https://evil.io"),
        ("https://a.co.uk", "https://b.co.uk"),
        ("https://a.co.uk", "https://co.uk"),
        ("https://a.com.au", "https://evil.com.au"),
        ("https://registry.gitlab.com", "https://evilgitlab.com"),
        ("https://registry.gitlab.com", "https://gitlab.com.evil.test"),
        ("https://gitlab.com", "https://com"),
        ("https://registry.docker.io", "http://registry.docker.io"),
        ("https://registry.docker.io", "http://auth.docker.io"),
        ("https://10.0.0.1", "https://10.0.0.2"),
        ("https://10.0.0.1", "https://0.0.1"),
        ("https://a.0.0.1", "https://10.0.0.1"),
        ("https://registry.example.com", "https://127.0.0.1"),
        ("http://registry.lab.example", "http://127.0.0.1"),
        ("http://127.0.0.1:5000", "http://registry.lab.example"),
        ("http://127.0.0.1:5000", "https://localhost:5001"),
        ("https://[::1]", "https://[::2]"),
    ],
)
def test_any_other_may_not(registry: str, realm: str) -> None:  # REG-022, REG-023, CVE-2026-33540
    assert not may_ask_for_tokens(Url.parse(registry).origin, Url.parse(realm).origin)


def test_what_this_machine_says_in_the_open_stays_on_it_whoever_is_listed() -> None:
    registry, realm = Origin.of("http", "127.0.0.1:5000"), Origin.of("http", "auth.example")
    assert not may_ask_for_tokens(registry, realm, listed=frozenset({"auth.example"}))
    assert may_ask_for_tokens(registry, Origin.of("https", "auth.example"), listed=frozenset({"auth.example"}))


@each(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("128.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_a_name_says_whether_it_is_this_machine(host: str, loopback: bool) -> None:
    assert Origin.of("http", f"{host}:5000").loopback is loopback


@each(
    "text",
    [
        "https://alice:t0psecret@storage.test/blob",
        "https://alice:t0p@t0psecret@storage.test/blob",
        "https://storage.test/blob?X-Amz-Signature=t0psecret#part",
        "https://storage.test/blob#t0psecret",
        "s3://storage.test/blob?token=t0psecret",
        "https://-x/blob?token=t0psecret",
        "https://storage.test:x/blob?token=t0psecret",
        "https://storage.test/blo\\b?token=t0psecret",
    ],
)
def test_what_is_said_of_a_url_that_cannot_be_has_neither_user_nor_query(text: str) -> None:
    for parse in (Url.parse, Url.parse("https://registry.test/v2/").join):
        with pytest.raises(MalformedError) as caught:
            parse(text)
        assert "t0psecret" not in str(caught.value)
        assert "/blo" in str(caught.value)
