"""Traces where a collector is named, and nothing at all where none is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from service.processes.logs import _JsonLines
from tests.otlp_collector import Collector, collecting_spans
from tests.patience import PATIENCE_S
from workers import tracing

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = PARENT.split("-")[1:3]
VARIABLES = (*tracing.ENDPOINTS, *tracing.PROTOCOLS, "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME")

QUIET = """
import sys
from workers import tracing
tracing.begin("worker")
with tracing.span("a", None, {}) as span, tracing.within("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
    span.tell("b", {"c": 1})
    assert (tracing.on(), tracing.current(), tracing.ids(), span.traceparent) == (False, None, {}, None)
tracing.start("d", None, {}).end()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not begun."""
    monkeypatch.setattr(tracing, "_tracing", None)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """What this process sends to, once it begins."""
    with collecting_spans() as listening:
        for name, value in listening.environment.items():
            monkeypatch.setenv(name, value)
        yield listening


def test_without_a_collector_nothing_happens_and_nothing_is_imported() -> None:
    subprocess.run([sys.executable, "-c", QUIET], check=True, timeout=PATIENCE_S)


def test_spans_arrive_in_the_trace_that_they_belong_to(collector: Collector) -> None:
    tracing.begin("worker")
    with tracing.span("outer", PARENT, {"job_id": "j1", "left_out": None}) as outer:
        with tracing.span("inner", None, {}):
            assert tracing.ids()["trace_id"] == TRACE
        later = tracing.start("later", outer.traceparent, {})
    later.tell("report", {"step": 3})
    later.fail("nan_loss: at step 3")
    later.end()
    told = {one.name: one for one in collector.until(lambda spans: len(spans) == 3)}
    assert {one.trace for one in told.values()} == {TRACE}
    assert {one.service for one in told.values()} == {"peftsearch-worker"}
    assert (told["outer"].parent, told["outer"].attributes) == (SPAN, {"job_id": "j1"})
    assert told["inner"].parent == told["later"].parent == told["outer"].id
    assert (told["later"].events, told["later"].failed, told["outer"].failed) == (("report",), True, False)


def test_a_parent_that_is_none_begins_a_trace_and_an_exception_is_a_failure(collector: Collector) -> None:
    tracing.begin("api")
    for parent in ("", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"):
        with pytest.raises(KeyError), tracing.span("lost", parent, {}, kind="server"):
            raise KeyError(parent)
    spans = collector.until(lambda spans: len(spans) == 3)
    assert {(one.parent, one.failed) for one in spans} == {("", True)}
    assert len({one.trace for one in spans}) == 3


def test_the_service_is_called_as_the_variables_say(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tuning")
    tracing.begin("api")
    tracing.start("a", None, {}).end()
    assert collector.until(bool)[0].service == "tuning"


@pytest.mark.parametrize(
    ("variables", "warned"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_what_is_switched_off_or_not_spoken_sends_nothing(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    warned: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing.begin("api")
    assert not tracing.on()
    assert warned in caplog.text
    assert bool(caplog.text) == bool(warned)
    assert collector.spans == []


def test_without_the_extra_it_says_how_to_get_it(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    tracing.begin("api")
    assert not tracing.on()
    assert "peftsearch[otel]" in caplog.text
    assert collector.spans == []


@pytest.mark.usefixtures("collector")
def test_lines_of_the_log_say_which_trace_they_belong_to() -> None:
    lines = _JsonLines("conductor")
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "job is taken", None, None)
    with tracing.within(PARENT):
        assert "trace_id" not in json.loads(lines.format(record))
    tracing.begin("conductor")
    with tracing.within(PARENT):
        told = json.loads(lines.format(record))
    assert (told["trace_id"], told["span_id"]) == (TRACE, SPAN)
    assert "trace_id" not in json.loads(lines.format(record))
