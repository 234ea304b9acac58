"""Traces for OpenTelemetry: one from the request that submits a job over conductor and proposer to the workers.

Off unless the standard variables name a collector (`OTEL_EXPORTER_OTLP_ENDPOINT`, or its form for traces); nothing of
OpenTelemetry is imported then, and every function here returns at once. Where a span belongs travels as the
`traceparent` of W3C: into a job's row, from there to the proposer and with each assignment to its worker.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

Attributes = Mapping[str, str | int | float | bool | None]
"""What is None is not known, and left out."""
Kind = Literal["internal", "server"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
DELAY = 1000
"""Milliseconds that spans wait for company, a fifth of the usual: conductors end proposers and workers by a kill."""
log = logging.getLogger(__name__)


class Span:
    """Something under way. Where tracing is off, nothing comes of it."""

    def __init__(self, inner: trace.Span | None = None) -> None:
        self._inner = inner

    @property
    def traceparent(self) -> str | None:
        """Where what follows from it belongs."""
        return None if self._inner is None else _written(self._inner)

    def rename(self, name: str) -> None:
        """It is now known what it is."""
        if self._inner is not None:
            self._inner.update_name(name)

    def add(self, attributes: Attributes) -> None:
        """Say more about it."""
        if self._inner is not None:
            self._inner.set_attributes(_known(attributes))

    def tell(self, event: str, attributes: Attributes) -> None:
        """Something happened in it."""
        if self._inner is not None:
            self._inner.add_event(event, _known(attributes))

    def fail(self, reason: str) -> None:
        """It ends badly."""
        if self._inner is not None:
            from opentelemetry.trace import Status, StatusCode

            self._inner.set_status(Status(StatusCode.ERROR, reason))

    def end(self) -> None:
        """It is over, and goes to the collector."""
        if self._inner is not None:
            self._inner.end()


class _Tracing:
    """A process's own provider: libraries that look for the global one find none, and send nothing through it."""

    def __init__(self, provider: TracerProvider) -> None:
        self.tracer = provider.get_tracer("peftsearch")


_tracing: _Tracing | None = None


def begin(process: str) -> None:
    """Send this process's spans (`api`, `conductor`, `proposer`, `worker`) to the collector, if one is named."""
    global _tracing
    if _tracing is None and _asked_for(os.environ):
        try:
            _tracing = _Tracing(_provider(process))
        except ImportError as error:
            log.warning("no traces are sent: %s is missing (pip install 'peftsearch[otel]')", error.name)


def on() -> bool:
    """Whether spans are sent."""
    return _tracing is not None


def _asked_for(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not any(environment.get(name) for name in ENDPOINTS):
        return False
    if (exporter := environment.get("OTEL_TRACES_EXPORTER") or "otlp") != "otlp":
        if exporter != "none":
            log.warning("no traces are sent: OTEL_TRACES_EXPORTER is %r; `otlp` and `none` are known", exporter)
        return False
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), SPOKEN)
    if protocol != SPOKEN:
        log.warning("no traces are sent: the protocol is %r; %s is spoken (port 4318 as a rule)", protocol, SPOKEN)
    return protocol == SPOKEN


def _provider(process: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    own = Resource({"service.name": f"peftsearch-{process}", "process.pid": os.getpid()})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))  # what the variables say wins
    delay = None if os.environ.get("OTEL_BSP_SCHEDULE_DELAY") else DELAY
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=delay))
    return provider


def start(name: str, parent: str | None, attributes: Attributes) -> Span:
    """A span that is ended by `Span.end`, maybe in another thread. `parent`: a traceparent; None begins a trace."""
    if _tracing is None:
        return Span()
    return Span(_tracing.tracer.start_span(name, _context(parent), attributes=_known(attributes)))


@contextmanager
def span(name: str, parent: str | None, attributes: Attributes, kind: Kind = "internal") -> Iterator[Span]:
    """A span for a block, in which it is the current one. Without `parent` it belongs to what is current outside. An
    exception that leaves the block is its failure."""
    if _tracing is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind

    with _tracing.tracer.start_as_current_span(
        name,
        None if parent is None else _context(parent),
        SpanKind.SERVER if kind == "server" else SpanKind.INTERNAL,
        _known(attributes),
    ) as inner:
        yield Span(inner)


@contextmanager
def within(parent: str | None) -> Iterator[None]:
    """What is logged and begun in the block belongs to `parent`."""
    if _tracing is None or parent is None:
        yield
        return
    from opentelemetry import context

    token = context.attach(_context(parent))
    try:
        yield
    finally:
        context.detach(token)


def current() -> str | None:
    """The traceparent of what is under way here; None outside of everything, and where tracing is off."""
    if _tracing is None:
        return None
    from opentelemetry.trace import get_current_span

    return _written(get_current_span())


def ids() -> dict[str, str]:
    """`trace_id` and `span_id` of what is under way here, for a line of the log."""
    traceparent = current()
    return {} if traceparent is None else dict(zip(("trace_id", "span_id"), traceparent.split("-")[1:3], strict=True))


def _context(parent: str | None) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {} if parent is None else {"traceparent": parent}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _written(inner: trace.Span) -> str | None:
    told = inner.get_span_context()
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}" if told.is_valid else None


def _known(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}
