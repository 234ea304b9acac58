"""Tokens of judges: of the scheme, host and port that they were given for, from a file that nobody else reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workers.errors import InvalidInput
from workers.outbound.tokens import TOKENS_FILE, token_for


def _write(home: Path, listed: Any, mode: int = 0o600) -> Path:
    file = home / TOKENS_FILE
    file.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    file.chmod(mode)
    return home


def test_a_token_goes_to_its_scheme_host_and_port_alone(tmp_path: Path) -> None:
    home = _write(tmp_path, {"https://judge.example.com": "one", "http://10.1.0.7:9000/": "two"})
    assert token_for("https://judge.example.com/score?x=1", home) == "one"
    assert token_for("https://JUDGE.example.com:443/", home) == "one"
    assert token_for("http://10.1.0.7:9000/score", home) == "two"
    for other in ("http://judge.example.com/", "https://judge.example.com:8443/", "https://judge.example.com.evil.org/",
                  "https://evil.org/judge.example.com", "http://10.1.0.7/score", "http://10.1.0.70:9000/"):  # fmt: skip
        assert token_for(other, home) is None, other
    assert token_for("https://judge.example.com/", tmp_path / "elsewhere") is None


def test_it_is_read_anew_for_each_use(tmp_path: Path) -> None:
    assert token_for("https://a/", _write(tmp_path, {"https://a": "old"})) == "old"
    assert token_for("https://a/", _write(tmp_path, {"https://a": "new"})) == "new"


@pytest.mark.parametrize(
    ("listed", "mode", "said"),
    [
        ({"https://a": "secret"}, 0o640, "mode 0640'; allowed: 0600"),
        ({"https://a": "secret"}, 0o604, "mode 0604"),
        ('{"https://a": "secret"', 0o600, "no JSON"),
        (["secret"], 0o600, "a list"),
        ({"https://a": 7}, 0o600, "no token for https://a"),
        ({"https://a": "secret\nX-Other: 1"}, 0o600, "no token for https://a"),
        ({"https://a:port": "secret"}, 0o600, "beginnings of URLs"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_its_tokens(
    tmp_path: Path, listed: Any, mode: int, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        token_for("https://a/", _write(tmp_path, listed, mode))
    assert "secret" not in str(refused.value)
