"""Where webhooks may point to: what the operator listed, as it resolves."""

from __future__ import annotations

import pytest

from service.settings import Settings, SettingsError
from workers.errors import InvalidInput
from workers.outbound.addresses import Allowed

PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"


def allowed(listed: str, *addresses: str) -> Allowed:
    return Allowed(listed, lambda *_: list(addresses))


@pytest.mark.parametrize(
    ("listed", "url", "address"),
    [
        ("any", "https://hooks.example.com/x", PUBLIC),
        ("hooks.example.com", "https://hooks.example.com:8443/x", PUBLIC),
        ("*.example.com", "https://a.b.example.com/x", PUBLIC),
        ("10.1.0.0/16", "http://inside.example/x", PRIVATE),
        ("any,10.1.0.0/16", "https://inside.example/x", PRIVATE),
        ("127.0.0.1", "http://127.0.0.1:9000/x", "127.0.0.1"),
        ("any", "https://[2606:2800:220:1::1]/x", "2606:2800:220:1::1"),
    ],
)
def test_what_is_listed_is_reached_at_the_address_that_was_checked(listed: str, url: str, address: str) -> None:
    rule = allowed(listed, address)
    rule.check(url)
    assert rule.target(url).address == address


@pytest.mark.parametrize(
    ("listed", "url", "addresses"),
    [
        ("off", "https://hooks.example.com/", [PUBLIC]),
        ("hooks.example.com", "https://other.example.com/", [PUBLIC]),
        ("*.example.com", "https://example.com.evil.org/", [PUBLIC]),
        ("any", "https://rebound.example.com/", [PRIVATE]),
        ("any", "https://half.example.com/", [PUBLIC, "127.0.0.1"]),
        ("any", "https://metadata.example.com/", ["169.254.169.254"]),
        ("any", "https://mapped.example.com/", ["::ffff:10.0.0.1"]),
        ("any", "https://shared.example.com/", ["100.64.0.1"]),
        ("any", "https://six.example.com/", ["fd00::1"]),
        ("any", "https://127.0.0.1/", ["127.0.0.1"]),
        ("any", "http://hooks.example.com/", [PUBLIC]),
        ("10.1.0.0/16", "https://hooks.example.com/", [PUBLIC]),
        ("any", "https://user:secret@hooks.example.com/", [PUBLIC]),
        ("any", "ftp://hooks.example.com/", [PUBLIC]),
        ("any", "https:///x", [PUBLIC]),
        ("any", "https://hooks.example.com:99999/", [PUBLIC]),
        ("any", "https://hooks.example.com/a b", [PUBLIC]),
    ],
)
def test_everything_else_is_refused(listed: str, url: str, addresses: list[str]) -> None:
    with pytest.raises(InvalidInput, match="url"):
        allowed(listed, *addresses).target(url)


def test_a_name_that_does_not_resolve_is_no_refusal() -> None:
    rule = allowed("any")
    rule.check("https://later.example.com/")
    with pytest.raises(OSError, match="no address"):
        rule.target("https://later.example.com/")


@pytest.mark.parametrize("listed", ["off,any", "http://x", "10.1.0.0/40x", "a..b", ",", "10.1.2.3/8"])
@pytest.mark.parametrize("setting", ["webhooks", "judges"])
def test_a_list_that_says_nothing_is_refused_by_name(setting: str, listed: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        Settings.read({setting: listed}, {})


def test_the_list_reaches_the_conductor_as_it_was_read() -> None:
    settings = Settings.read({"webhooks": "Hooks.Example.com, 10.1.0.0/16", "judges": "Any"}, {})
    assert (settings.webhooks, settings.judges) == ("hooks.example.com,10.1.0.0/16", "any")
    again = Settings.read({}, settings.as_environment())
    assert (again.webhooks, again.judges) == (settings.webhooks, settings.judges)
