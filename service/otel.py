"""
Spans for OpenTelemetry, sent by OTLP over HTTP: the request, and the stages of each clip in it.

The rule: of a span leaves what is listed here and nothing else, whoever recorded it. FastAPI's
spans have the path, the query string and the Host header as well, and the SDK may add the texts and
stack traces of exceptions. Of the headers of a request one is read, `traceparent`, which holds
numbers only.
"""

import logging
import os
import threading
import time
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers

from service.errors import ClientGone
from service.problem_kinds import INTERNAL, KINDS, Kind
from service.scoring.backend import TimedScore
from service.scoring.checkpoints import LoadedCheckpoint
from service.tracing import OFF, SPANS_THREAD, ClipTimes, Tracing, TracingError

log = logging.getLogger(__name__)

FLUSH_S = 3.0
"""For the last spans, when the service stops. Together with SCORING_DRAIN_S and the last batch it
is less than what containers are given to end."""
REPEAT_S = 300.0
"""Within which OpenTelemetry logs each of its messages once: a collector that is down would give
several lines every few seconds."""

REQUEST_ID = "scoring.request_id"
CHECKPOINT = "scoring.checkpoint"
WAITS_FOR = "scoring.waits_for"
BATCH_CLIPS = "scoring.batch_clips"
ENGINE = "scoring.engine"
PROBLEM = "scoring.problem"  # leaves as error.type, for which FastAPI writes the name of a class
ERROR_TYPE = "error.type"
KEPT = frozenset(
    {"http.request.method", "http.route", "http.response.status_code"}
    | {REQUEST_ID, CHECKPOINT, WAITS_FOR, BATCH_CLIPS, ENGINE}
)


class OtelTracing(Tracing):
    def __init__(self, provider: TracerProvider) -> None:
        self.provider: TracerProvider = provider
        self._tracer = provider.get_tracer("service", version("fragment-scorer"))

    def request_id(self, request_id: str) -> None:
        trace.get_current_span().set_attribute(REQUEST_ID, request_id)

    def problem(self, kind: Kind) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            _fail(span, kind)

    def clip_scored(
        self, times: ClipTimes, checkpoint: LoadedCheckpoint, scored: TimedScore
    ) -> None:
        assert times.decode_ended is not None
        ran = times.decode_ended + scored.queue_s
        self._until(ran, times, checkpoint)
        known: dict[str, str | int] = {
            CHECKPOINT: checkpoint.reference,
            ENGINE: checkpoint.engine,
            BATCH_CLIPS: scored.batch_clips,
        }
        span = self._tracer.start_span(
            "inference", attributes=known, start_time=times.time_of_day_ns(ran)
        )
        span.end(times.time_of_day_ns(ran + scored.inference_s))

    def clip_failed(self, times: ClipTimes, checkpoint: LoadedCheckpoint, kind: Kind) -> None:
        self._until(time.monotonic(), times, checkpoint, kind)

    def stop(self) -> None:
        sending = threading.Thread(target=self.provider.shutdown, name=SPANS_THREAD, daemon=True)
        sending.start()
        sending.join(FLUSH_S)
        if sending.is_alive():
            log.warning("the last spans are lost: not sent within %g s", FLUSH_S)

    def _until(
        self, ended: float, times: ClipTimes, checkpoint: LoadedCheckpoint, kind: Kind | None = None
    ) -> None:
        """The stages before a clip is scored, as far as it came; `kind` is of the last one."""
        known = {CHECKPOINT: checkpoint.reference}
        begun = [
            (name, began, known | more)
            for name, began, more in (
                ("queue", times.entered, {WAITS_FOR: "decoder"}),
                ("decode", times.decode_began, {}),
                ("queue", times.decode_ended, {WAITS_FOR: "engine"}),
            )
            if began is not None
        ]
        ends = [*(began for _, began, _ in begun[1:]), ended]
        kinds = [*(None for _ in begun[1:]), kind]
        for (name, began, attributes), end, failure in zip(begun, ends, kinds, strict=True):
            span = self._tracer.start_span(
                name, attributes=attributes, start_time=times.time_of_day_ns(began)
            )
            if failure is not None:
                _fail(span, failure)
            span.end(times.time_of_day_ns(end))


def _fail(span: trace.Span, kind: Kind) -> None:
    """As HTTP has it: what is wrong with a request is no error of the service."""
    span.set_attribute(PROBLEM, kind.slug)
    if kind.status >= 500:
        span.set_status(StatusCode.ERROR)


def start() -> Tracing:
    """Raises TracingError for a variable that makes no sense."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        log.warning("SCORING_OTEL has no effect: OpenTelemetry's own variables switch it off")
        return OFF
    _require("OTEL_TRACES_EXPORTER", "otlp", exporter)
    _require("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", _for_traces("PROTOCOL"))
    endpoint = _checked_endpoint()
    _check_headers()
    for handler in logging.getLogger().handlers:
        handler.addFilter(now_and_then)
    own = {"service.name": "fragment-scorer", "service.version": version("fragment-scorer")}
    try:
        provider = TracerProvider(
            resource=Resource.create(own).merge(OTELResourceDetector().detect()),
            shutdown_on_exit=False,  # `stop` does it, within its time
        )
        provider.add_span_processor(KeptOnly(BatchSpanProcessor(OTLPSpanExporter())))
    except (ValueError, RuntimeError) as error:
        raise TracingError(
            f"SCORING_OTEL: a variable of OpenTelemetry's is wrong: {error}"
        ) from error
    propagate.set_global_textmap(TraceParent())
    log.info("spans are sent to %s", endpoint)
    return OtelTracing(provider)


def _checked_endpoint() -> str:
    """Host and port of the collector.   Raises TracingError."""
    url = _for_traces("ENDPOINT") or "http://localhost:4318"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        need = "need an address such as http://collector:4318"  # what was found may hold a password
        raise TracingError(f"OTEL_EXPORTER_OTLP_ENDPOINT: {need}")
    return parts.hostname if port is None else f"{parts.hostname}:{port}"


def _check_headers() -> None:
    """Raises TracingError. The SDK would log what it cannot read, and with it a password."""
    logging.getLogger(parse_env_headers.__module__).disabled = True
    given = [each for each in (_for_traces("HEADERS") or "").split(",") if each.strip()]
    if not all(parse_env_headers(each, liberal=True) for each in given):
        raise TracingError("OTEL_EXPORTER_OTLP_HEADERS: need name=value,name=value")


def _for_traces(name: str) -> str | None:
    """The variable for traces alone has precedence over the one for all signals."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(
        f"OTEL_EXPORTER_OTLP_{name}"
    )


def _require(variable: str, only: str, found: str | None) -> None:
    if found and found.strip().lower() != only:
        raise TracingError(f"{variable}: found {found}, need {only}")


class KeptOnly(SpanProcessor):
    """Passes on what the rule above allows."""

    def __init__(self, following: SpanProcessor) -> None:
        self._following = following

    def on_end(self, span: ReadableSpan) -> None:
        attributes = span.attributes or {}
        kept = {name: value for name, value in attributes.items() if name in KEPT}
        status = span.status.status_code
        if (problem := attributes.get(PROBLEM)) is not None:
            kept[ERROR_TYPE] = problem
            if problem == KINDS[ClientGone].slug:  # FastAPI takes it for an error of ours
                status = StatusCode.UNSET
        elif status is StatusCode.ERROR:
            kept[ERROR_TYPE] = INTERNAL.slug
        self._following.on_end(
            ReadableSpan(
                name=span.name,
                context=span.context,
                parent=span.parent,
                resource=span.resource,
                attributes=kept,
                kind=span.kind,
                status=Status(status),
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )
        )

    def shutdown(self) -> None:
        self._following.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._following.force_flush(timeout_millis)


class TraceParent(TextMapPropagator):
    """Reads `traceparent`. The SDK's own also reads texts of the client's, and logs wrong ones."""

    _format = TraceContextTextMapPropagator()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        given = {name: getter.get(carrier, name) or [] for name in self.fields}
        return self._format.extract(given, context)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """The service calls no other."""

    @property
    def fields(self) -> set[str]:
        return {"traceparent"}


class NowAndThen(logging.Filter):
    """Lets each message of OpenTelemetry's pass once within `REPEAT_S`; others always."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("opentelemetry."):
            return True
        now, message = time.monotonic(), str(record.msg)
        passes = now - self._passed.get(message, -REPEAT_S) >= REPEAT_S
        if passes:
            self._passed[message] = now
        return passes


now_and_then = NowAndThen()
