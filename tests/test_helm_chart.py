"""The Helm chart, rendered as Helm would: its templates use values and the release's name, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.serve import _parser
from service.settings import ENVIRONMENT

CHART = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "peftsearch"
RELEASE = "demo"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
used: set[str] = set()


def _value(match: re.Match[str]) -> str:
    name = match[1].strip()
    if name == ".Release.Name":
        return RELEASE
    assert name.startswith(".Values."), f"{name}: only values and the release's name are filled in"
    path = name.removeprefix(".Values.")
    used.add(path)
    found: Any = VALUES
    for part in path.split("."):
        found = found[part]
    return str(found)


def _documents() -> list[dict[str, Any]]:
    texts = [re.sub(r"\{\{(.*?)\}\}", _value, file.read_text()) for file in sorted(CHART.glob("templates/*.yaml"))]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def _pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = document["spec"]
    if document["kind"] == "RayCluster":
        return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    return [spec["template"]["spec"]] if document["kind"] == "Deployment" else []


DOCUMENTS = _documents()
PODS = [pod for document in DOCUMENTS for pod in _pods(document)]
CONTAINERS = [container for pod in PODS for container in pod["containers"]]


def _leaves(value: Any, path: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {path}
    return {leaf for name, inner in value.items() for leaf in _leaves(inner, f"{path}.{name}".lstrip("."))}


def test_it_makes_what_the_service_needs_and_uses_every_value() -> None:
    made = [(document["apiVersion"], document["kind"], document["metadata"]["name"]) for document in DOCUMENTS]
    assert sorted(made) == [
        ("apps/v1", "Deployment", "demo-api"),
        ("apps/v1", "Deployment", "demo-conductor"),
        ("ray.io/v1", "RayCluster", "demo-ray"),
        ("v1", "PersistentVolumeClaim", "demo-artifacts"),
        ("v1", "Service", "demo-api"),
    ]
    assert used == _leaves(VALUES)
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["apiVersion"] == "v2"


def test_what_names_another_thing_names_one_that_is_there() -> None:
    claims = {one["metadata"]["name"] for one in DOCUMENTS if one["kind"] == "PersistentVolumeClaim"}
    for pod in PODS:
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes.keys()
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim in {None, VALUES["storage"]["data"], *claims}
    for document in DOCUMENTS:
        if document["kind"] == "Deployment":
            spec = document["spec"]
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    api = next(one for one in DOCUMENTS if one["metadata"]["name"] == "demo-api" and one["kind"] == "Deployment")
    service = next(one for one in DOCUMENTS if one["kind"] == "Service")
    assert service["spec"]["selector"].items() <= api["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"] for port in api["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in ports


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda one: one["name"])
def test_containers_are_set_up_as_the_service_reads_it(container: dict[str, Any]) -> None:
    variables = {entry["name"]: entry for entry in container.get("env", ())}
    assert {name for name in variables if name.startswith("PEFTSEARCH_")} <= set(ENVIRONMENT.values())
    for name, entry in variables.items():
        if re.search("TOKEN$|DATABASE", name):
            assert entry["valueFrom"]["secretKeyRef"]["name"] == VALUES["secret"], f"{name} stands in the open"
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["resources"]["limits"]["memory"]
    command = container.get("command", [])
    if command[:3] == ["python", "-m", "service.serve"]:
        _parser().parse_args(command[3:])


def test_ray_is_the_version_that_is_installed() -> None:
    from importlib.metadata import version

    assert VALUES["ray"]["version"] == version("ray")
