"""Who is reached through a proxy, and who never."""

import pytest

from bundler.content.registry.origin import Origin
from bundler.content.registry.proxies import Proxies
from bundler.errors import UsageError
from tests.support.cases import each

ENVIRON = {"HTTPS_PROXY": "http://proxy.example:3128", "HTTP_PROXY": "plain.example"}


def through(origin: str, **environ: str) -> str | None:
    scheme, _, authority = origin.partition("://")
    proxy = Proxies.from_environ(ENVIRON | environ).reach(Origin.of(scheme, authority))
    return None if proxy is None else proxy.origin.authority


def test_each_scheme_has_its_proxy() -> None:
    assert (through("https://r.example"), through("http://r.example:5000")) == ("proxy.example:3128", "plain.example")


def test_lower_case_goes_first() -> None:
    assert through("https://r.example", https_proxy="other.example:1") == "other.example:1"


@pytest.mark.parametrize("origin", ["https://localhost:5000", "http://127.0.0.1:5000", "http://127.8.9.1", "https://[::1]"])
def test_this_machine_is_never_reached_through_one(origin: str) -> None:
    assert through(origin) is None


@each(
    ("exempt", "direct"),
    [
        ("*", True),
        ("r.example", True),
        ("example", True),
        (".example", True),
        ("*.example", True),
        ("other, R.Example:443", True),
        ("r.example:5000", False),
        ("xr.example", False),
        ("ample", False),
        ("10.0.0.0/8", False),
        ("", False),
    ],
)
def test_no_proxy_names_hosts_and_what_is_below_them(exempt: str, direct: bool) -> None:
    assert (through("https://r.example", NO_PROXY=exempt) is None) is direct


@each(
    ("exempt", "direct"),
    [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.1.2.3:443", True), ("10.1.2.3:80", False), ("11.0.0.0/8", False), ("1.2.3", False)],
)
def test_no_proxy_names_addresses_and_networks(exempt: str, direct: bool) -> None:
    assert (through("https://10.1.2.3", no_proxy=exempt) is None) is direct


@pytest.mark.parametrize(("exempt", "direct"), [("fd00::/8", True), ("[fd00::1]:443", True), ("fd00::1", True), ("fd00::2", False)])
def test_no_proxy_names_addresses_of_the_longer_kind(exempt: str, direct: bool) -> None:
    assert (through("https://[fd00::1]", no_proxy=exempt) is None) is direct


def test_nothing_in_the_environment_is_used_unless_it_is_asked_for() -> None:  # REG-050
    assert Proxies().reach(Origin.of("https", "r.example")) is None


@pytest.mark.parametrize(
    "proxy", ["https://proxy.example", "socks5://user:t0psecret@proxy.example", "http://", "http://u:t0psecret@:1", "http://a b"]
)
def test_a_proxy_of_another_kind_is_refused_and_not_shown(proxy: str) -> None:
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        Proxies.from_environ({"HTTPS_PROXY": proxy})
    assert "t0psecret" not in str(caught.value)


def test_the_login_for_a_proxy_is_its_own_and_hidden() -> None:
    proxy = Proxies.from_environ({"HTTPS_PROXY": "http://u%40x:t0p%3Asecret@proxy.example"}).by_scheme["https"]
    assert proxy.authorization == "Basic dUB4OnQwcDpzZWNyZXQ="
    assert "Basic" not in repr(proxy)
