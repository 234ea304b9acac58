"""docker-compose.yml and the image as texts: what containers are needed for is not tested here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.serve import _parser
from service.settings import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
KEYS = {
    *("build", "image", "environment", "volumes", "restart", "stop_grace_period", "healthcheck"),
    *("command", "ports", "depends_on", "shm_size"),
}
"""Of a service, as far as they are used here."""


def test_nobody_runs_it_with_a_password_or_token_that_everybody_knows() -> None:
    settings = {
        f"{service}.{name}": str(value)
        for service, described in SERVICES.items()
        for name, value in described.get("environment", {}).items()
    }
    secret = {name: value for name, value in settings.items() if re.search("PASSWORD|AUTH_TOKEN|DATABASE$", name)}
    assert len(secret) > 4
    for name, value in secret.items():
        assert re.search(r"\$\{(POSTGRES_PASSWORD|RAY_AUTH_TOKEN):\?[^}]+\}", value), f"{name} has a default: {value}"


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_names_is_there(service: str) -> None:
    described = SERVICES[service]
    assert described.keys() <= KEYS
    waited_for = described.get("depends_on", {})
    for other in waited_for:
        condition = waited_for[other]["condition"] if isinstance(waited_for, dict) else "service_started"
        assert condition in {"service_started", "service_healthy"}
        assert condition == "service_started" or "healthcheck" in SERVICES[other]
    for volume in described.get("volumes", ()):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or (ROOT / source).is_dir(), volume
    hosts = re.findall(r"[@ ]([\w-]+)(?::6379|/peftsearch$)", f"{described.get('command')} {_variables(service)}")
    assert set(hosts) <= set(SERVICES)
    assert hosts or service == "postgres"


def _variables(service: str) -> str:
    return str(SERVICES[service].get("environment", {}).get("PEFTSEARCH_DATABASE", ""))


@pytest.mark.parametrize("service", [name for name, one in SERVICES.items() if "build" in one])
def test_our_services_are_set_up_as_they_read_it(service: str) -> None:
    described = SERVICES[service]
    ours = {name for name in described["environment"] if name.startswith("PEFTSEARCH_")}
    assert ours <= set(ENVIRONMENT.values())
    _, served, flags = described["command"].partition("python -m service.serve ")
    if served:
        given = _parser().parse_args(flags.rstrip("'").split())
        assert [port.rpartition(":")[0] for port in described.get("ports", ())] == (
            [f"127.0.0.1:{given.port}"] if given.only == "api" else []
        )
    else:
        assert "ray start " in described["command"]


def test_what_is_scaled_has_no_port_of_its_own() -> None:
    scaled = re.findall(r"--scale ([\w-]+)=", (ROOT / "docker-compose.yml").read_text())
    assert {"ray-worker", "conductor"} <= set(scaled)
    assert not any("ports" in SERVICES[name] for name in scaled)


def test_the_image_installs_extras_that_there_are() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (extras,) = re.findall(r"-e '\.\[(.+?)\]'", dockerfile)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= declared.keys()
    assert {"service", "workers"} <= set(extras.split(","))
    for source in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M):
        assert all((ROOT / name).exists() for name in source.split()), source
    assert f"PEFTSEARCH_HOME={SERVICES['api']['environment']['PEFTSEARCH_HOME']}" in dockerfile
