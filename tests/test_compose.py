"""docker-compose.yml as a text: what containers are needed for is not tested here."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

COMPOSE = Path(__file__).resolve().parents[1] / "docker-compose.yml"


def test_nobody_runs_it_with_a_password_or_token_that_everybody_knows() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    settings = {
        f"{service}.{name}": str(value)
        for service, described in services.items()
        for name, value in described.get("environment", {}).items()
    }
    secret = {name: value for name, value in settings.items() if re.search("PASSWORD|AUTH_TOKEN|DATABASE$", name)}
    assert len(secret) > 4
    for name, value in secret.items():
        assert re.search(r"\$\{(POSTGRES_PASSWORD|RAY_AUTH_TOKEN):\?[^}]+\}", value), f"{name} has a default: {value}"
