"""What a collector gets: a real receiver of OTLP over HTTP, and the real service."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from model_store.store import Store
from service.otel import FLUSH_S, REPEAT_S, NowAndThen
from tests.clips import clip_bytes
from tests.servers import LiveServer, children_of, live_server, serving, until

MARK = "mArKeR"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = ["queue", "decode", "queue", "inference"]


@dataclass
class Collector:
    """What has arrived, in the order of arrival."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def request(self, request_id: str) -> Span:
        """The span of a request, once it has arrived."""
        until(lambda: any(of(span).get("scoring.request_id") == request_id for span in self.spans))
        [span] = [each for each in self.spans if of(each).get("scoring.request_id") == request_id]
        return span

    def below(self, parent: Span) -> list[Span]:
        """By when they began; those of one clip are sent before their request's."""
        children = [each for each in self.spans if each.parent_span_id == parent.span_id]
        return sorted(children, key=lambda span: span.start_time_unix_nano)


def of(span: Span) -> dict[str, Any]:
    """Its attributes."""
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value")))
        for each in span.attributes
    }


def ms(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.paths.append(self.path)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Standard error belongs to the tests."""

    with serving(Receiver) as url:
        collector.url = url
        yield collector


def variables(url: str, **others: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    } | others


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(
    store: Store, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    environment = variables(
        collector.url,
        OTEL_PROPAGATORS="tracecontext,baggage",
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=diving",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
    )
    with live_server(
        store.root,
        tmp_path_factory.mktemp("traced"),
        environment=environment,
        otel="true",
        log_level="debug",
        result_cache_bytes=1 << 20,
    ) as server:
        yield server


def post(server: LiveServer, clip: bytes, request_id: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/score",
        files={"clip": clip},
        headers={"x-request-id": request_id, **headers},
        timeout=60,
    )


def test_a_request_and_the_stages_of_its_clip(traced: LiveServer, collector: Collector) -> None:
    sent = time.time_ns()
    answer = post(traced, clip_bytes(seed=1), "stages")
    assert answer.status_code == 200
    request = collector.request("stages")
    arrived = time.time_ns()
    assert request.name == "POST /score"
    assert request.kind == Span.SPAN_KIND_SERVER
    assert of(request) == {
        "http.request.method": "POST",
        "http.route": "/score",
        "http.response.status_code": 200,
        "scoring.request_id": "stages",
    }
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert not request.parent_span_id
    stages = collector.below(request)
    assert [span.name for span in stages] == STAGES
    reference = "{name}@{version}".format(**answer.json()["checkpoint"])
    waits, decode, queued, inference = map(of, stages)
    assert waits == {"scoring.checkpoint": reference, "scoring.waits_for": "decoder"}
    assert decode == {"scoring.checkpoint": reference}
    assert queued == {"scoring.checkpoint": reference, "scoring.waits_for": "engine"}
    assert inference == {
        "scoring.checkpoint": reference,
        "scoring.engine": "torch",
        "scoring.batch_clips": 1,
    }
    times = [request.start_time_unix_nano]
    for span in stages:
        times += [span.start_time_unix_nano, span.end_time_unix_nano]
        assert span.trace_id == request.trace_id
        assert not span.events
    times.append(request.end_time_unix_nano)
    assert times == sorted(times), "they follow one another within the request"
    assert sent <= request.start_time_unix_nano
    assert request.end_time_unix_nano <= arrived
    timings = answer.json()["timings_ms"]
    header = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    for name in ("queue", "decode", "inference"):
        spent = sum(ms(span) for span in stages if span.name == name)
        assert spent == pytest.approx(timings[name], abs=0.02)
        assert spent == pytest.approx(float(header[name]), abs=0.1)
    assert sum(map(ms, stages)) <= timings["total"] <= ms(request)


def test_who_sends_the_spans(traced: LiveServer, collector: Collector) -> None:
    httpx.get(f"{traced.url}/checkpoints", headers={"x-request-id": "resource"})
    collector.request("resource")
    [resource] = collector.requests[0].resource_spans
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert attributes["service.name"] == "fragment-scorer"
    assert attributes["service.version"]
    assert attributes["deployment.environment"] == "test"
    assert collector.headers[0]["x-tenant"] == "diving"


def test_a_callers_trace_goes_on(traced: LiveServer, collector: Collector) -> None:
    post(traced, clip_bytes(seed=2), "continued", traceparent=f"00-{TRACE}-{PARENT}-01")
    request = collector.request("continued")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert {span.trace_id.hex() for span in collector.below(request)} == {TRACE}


def test_a_caller_who_does_not_trace_is_not_traced(
    traced: LiveServer, collector: Collector
) -> None:
    for parent in (f"00-{TRACE}-{PARENT}-00", "nonsense", f"ff-{TRACE}-{PARENT}-01"):
        request_id = f"not-sampled-{parent[:2]}"
        assert post(traced, clip_bytes(), request_id, traceparent=parent).status_code == 200
    collector.request("not-sampled-no")  # what makes no sense is as if it were not there
    collector.request("not-sampled-ff")
    assert not any(
        of(each).get("scoring.request_id") == "not-sampled-00" for each in collector.spans
    )


@pytest.mark.parametrize(
    ("clip", "status", "problem", "stages"),
    [
        (b"no video", 415, "not-a-video", ["queue", "decode"]),
        (clip_bytes(frames=5), 422, "unusable-clip", ["queue", "decode"]),
        (b"", 400, "empty-file", []),
    ],
)
def test_a_failure_is_the_slug_of_its_problem(
    traced: LiveServer,
    collector: Collector,
    clip: bytes,
    status: int,
    problem: str,
    stages: list[str],
) -> None:
    assert post(traced, clip, problem).status_code == status
    request = collector.request(problem)
    assert of(request)["error.type"] == problem
    assert of(request)["http.response.status_code"] == status
    below = collector.below(request)
    assert [span.name for span in below] == stages
    for span in below:
        assert of(span).get("error.type") == (problem if span.name == "decode" else None)
    for span in (request, *below):
        assert span.status.code == Status.STATUS_CODE_UNSET, "it is not the service's error"
        assert not span.status.message
        assert not span.events


def test_an_answer_from_the_cache_has_no_stages(traced: LiveServer, collector: Collector) -> None:
    assert post(traced, clip_bytes(seed=7), "first").headers["x-cache"] == "miss"
    assert post(traced, clip_bytes(seed=7), "again").headers["x-cache"] == "hit"
    assert [span.name for span in collector.below(collector.request("first"))] == STAGES
    assert collector.below(collector.request("again")) == []


def test_the_clips_of_a_ranking_are_below_its_request(
    traced: LiveServer, collector: Collector
) -> None:
    httpx.post(
        f"{traced.url}/rank",
        files=[("clips", clip_bytes(seed=seed)) for seed in (11, 12, 13)],
        headers={"x-request-id": "ranking"},
        timeout=60,
    ).raise_for_status()
    below = collector.below(collector.request("ranking"))
    assert sorted(span.name for span in below) == sorted(3 * STAGES)


def test_a_stream_ends_with_its_last_event(traced: LiveServer, collector: Collector) -> None:
    for request_id, clip in (("streamed", clip_bytes(seed=21)), ("broken", b"no video")):
        answer = post(traced, clip, request_id, accept="text/event-stream")
        assert answer.status_code == 200
    streamed, broken = collector.request("streamed"), collector.request("broken")
    assert [span.name for span in collector.below(streamed)] == STAGES
    assert "error.type" not in of(streamed)
    assert of(broken)["error.type"] == "not-a-video"
    assert broken.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_hangs_up(traced: LiveServer, collector: Collector, accept: str) -> None:
    request_id = f"gone-{accept.partition('/')[0]}"
    headers = {"x-request-id": request_id, "accept": accept}
    sent = httpx.Request(
        "POST", f"{traced.url}/score", files={"clip": clip_bytes(seed=41)}, headers=headers
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.headers.items())
    decoders = children_of(traced.process.pid)
    for decoder in decoders:
        os.kill(decoder, signal.SIGSTOP)
    with socket.create_connection(("127.0.0.1", traced.port)) as client:
        client.sendall(f"POST /score HTTP/1.1\r\n{head}\r\n".encode() + sent.read())
        until(lambda: traced.metric("score_queue_clips") == 1)
        time.sleep(0.3)  # until it has a decoder
    request = collector.request(request_id)
    for decoder in decoders:
        with contextlib.suppress(ProcessLookupError):  # it was replaced
            os.kill(decoder, signal.SIGCONT)
    assert of(request)["error.type"] == "client-gone"
    until(lambda: len(collector.below(request)) == 2)
    waits, decode = collector.below(request)
    assert (waits.name, decode.name) == ("queue", "decode")
    assert of(decode)["error.type"] == "client-gone"
    for span in (request, decode):
        assert span.status.code == Status.STATUS_CODE_UNSET


def test_what_a_client_sends_does_not_leave(traced: LiveServer, collector: Collector) -> None:
    headers = {
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "tracestate": f"vendor={MARK}-state,{MARK}",
        "baggage": f"user={MARK}-baggage,{MARK}",
        "authorization": f"Bearer {MARK}-key",
        "user-agent": f"{MARK}-agent",
        "x-forwarded-for": f"{MARK}-address",
        "forwarded": f"host={MARK}.example",
        "cookie": f"a={MARK}-cookie",
        "referer": f"http://{MARK}.example/",
        "host": f"{MARK}.example",
        "x-request-id": f"not an id: {MARK}",
    }
    files: Any = {"clip": (f"{MARK}-name.mp4", clip_bytes(seed=31), f"video/{MARK}")}
    for method, path in (
        ("POST", f"/score?{MARK}=query"),
        ("POST", "/score"),
        ("POST", f"/{MARK}-path"),
        ("GET", f"/checkpoints/{MARK}"),
        ("GET", f"//docs?{MARK}"),
        ("GET", f"/web/{MARK}.js"),
        (MARK.upper(), "/score"),
    ):
        for data in ({"action": f"{MARK}-field"}, {f"{MARK}-field": "1"}, {"marks": MARK}, {}):
            httpx.request(
                method, traced.url + path, headers=headers, files=files, data=data, timeout=60
            )
    traced.raw(f"GET http://{MARK}.example/livez?{MARK} HTTP/1.0\r\n{MARK}: 1\r\n\r\n".encode())
    post(traced, b"no video", "after-the-marks")
    collector.request("after-the-marks")
    assert any(span.trace_id.hex() == TRACE for span in collector.spans)
    for body in collector.bodies:
        for mark in (MARK, MARK.lower(), MARK.upper()):
            assert mark.encode() not in body
        assert b"127.0.0.1" not in body
    log = traced.log.read_text()
    for mark in (MARK, MARK.lower(), MARK.upper()):
        assert mark not in log


def test_probes_are_not_traced_nor_do_logs_and_metrics_leave(
    traced: LiveServer, collector: Collector
) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/livez?x"):
        for method in ("GET", "HEAD"):
            httpx.request(method, traced.url + path, headers={"x-request-id": "probe"})
    httpx.get(f"{traced.url}/checkpoints", headers={"x-request-id": "after-the-probes"})
    collector.request("after-the-probes")
    assert not any(of(span).get("scoring.request_id") == "probe" for span in collector.spans)
    assert set(collector.paths) == {"/v1/traces"}


def test_an_internal_error_shows_no_text_and_no_stack(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of the engine whose text has the mark; in this process, so that it can be made."""
    from model_store.scorer import Scorer
    from service.otel import OtelTracing
    from tests.servers import running_app

    def fail(*_: object) -> None:
        raise RuntimeError(f"{MARK} of the engine")

    async def ask() -> None:
        async with running_app(store, otel=True) as app:
            assert isinstance(app.service.tracing, OtelTracing)
            monkeypatch.setattr(Scorer, "score", fail)
            answer = await app.client.post(
                "/score", files={"clip": clip_bytes()}, headers={"x-request-id": "internal"}
            )
            assert answer.status_code == 500

    with collecting() as collector:
        for name, value in variables(collector.url).items():
            monkeypatch.setenv(name, value)
        asyncio.run(ask())
        request = collector.request("internal")
        last = collector.below(request)[-1]
    for span in (request, last):
        assert of(span)["error.type"] == "internal-error"
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert not span.status.message
        assert not span.events
    assert last.name == "queue"
    assert not any(MARK.encode() in body for body in collector.bodies)


def test_below_a_prefix_and_with_a_name_of_ones_own(store: Store, tmp_path: Path) -> None:
    with collecting() as collector:
        environment = variables(
            collector.url,
            OTEL_SERVICE_NAME="meet",
            OTEL_TRACES_SAMPLER="parentbased_always_off",
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        )
        settings: dict[str, Any] = {"otel": "true", "root_path": "/scorer"}
        with live_server(store.root, tmp_path, environment=environment, **settings) as server:
            sampled = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            for path in ("/scorer/livez", "/livez", "/scorer/readyz"):
                httpx.get(server.url + path, headers=sampled | {"x-request-id": "probe"})
            httpx.get(f"{server.url}/checkpoints", headers={"x-request-id": "unsampled"})
            httpx.get(f"{server.url}/checkpoints", headers=sampled | {"x-request-id": "plain"})
            httpx.get(
                f"{server.url}/scorer/checkpoints", headers=sampled | {"x-request-id": "kept"}
            )
            routes = {of(collector.request(name))["http.route"] for name in ("plain", "kept")}
            assert server.terminate() == 0
    assert routes == {"/scorer/checkpoints"}
    assert len(collector.spans) == 2
    [resource] = collector.requests[0].resource_spans
    names = [each.value for each in resource.resource.attributes if each.key == "service.name"]
    assert [name.string_value for name in names] == ["meet"]


def test_what_is_left_is_sent_when_the_service_stops(store: Store, tmp_path: Path) -> None:
    with collecting() as collector:
        environment = variables(collector.url, OTEL_BSP_SCHEDULE_DELAY="600000")
        with live_server(store.root, tmp_path, environment=environment, otel="true") as server:
            assert post(server, clip_bytes(), "last").status_code == 200
            assert not collector.bodies
            assert server.terminate() == 0
        assert len(collector.below(collector.request("last"))) == 4


def test_off_nothing_is_sent_and_the_sdk_is_not_loaded(store: Store, tmp_path: Path) -> None:
    """Whatever OpenTelemetry's variables say, formats included that are not installed."""
    with collecting() as collector:
        environment = variables(collector.url, OTEL_PROPAGATORS="b3,xray")
        command = (
            sys.executable,
            "-c",
            "import sys\n"
            "from service.__main__ import run\n"
            "code = run([], 'service')\n"
            "open('loaded', 'w').write('\\n'.join(sys.modules))\n"
            "sys.exit(code)",
        )
        with live_server(store.root, tmp_path, command=command, environment=environment) as server:
            assert post(server, clip_bytes(), "off").status_code == 200
            assert server.terminate() == 0
        assert not collector.paths
    loaded = (tmp_path / "loaded").read_text().splitlines()
    assert "service.tracing" in loaded
    assert not {"service.otel", "opentelemetry.sdk", "opentelemetry.exporter"} & {*loaded}


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"])
def test_opentelemetrys_own_switches_hold(store: Store, tmp_path: Path, variable: str) -> None:
    with collecting() as collector:
        value = {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"}[variable]
        environment = variables(collector.url, **{variable: value})
        with live_server(store.root, tmp_path, environment=environment, otel="true") as server:
            httpx.get(f"{server.url}/checkpoints")
            assert server.terminate() == 0
        assert not collector.paths
        assert "SCORING_OTEL has no effect" in server.log.read_text()


@contextmanager
def silent() -> Iterator[str]:
    """A collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def gone() -> Iterator[str]:
    """A collector that refuses connections."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


@contextmanager
def broken() -> Iterator[str]:
    """A collector that answers with an error which asks for another try."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:
            """Standard error belongs to the tests."""

    with serving(Receiver) as url:
        yield url


@pytest.mark.parametrize(
    "collector_of",
    [
        gone,
        pytest.param(silent, marks=pytest.mark.slow),
        pytest.param(broken, marks=pytest.mark.slow),
    ],
)
def test_without_a_collector_requests_are_as_fast_and_the_log_is_short(
    store: Store, tmp_path: Path, collector_of: Callable[[], Any]
) -> None:
    """More spans than the SDK keeps, since they are lost; and the end comes in time.

    Requests to a service that does not trace alternate with the others, as the machine is busy.
    """
    seconds: dict[int, list[float]] = {}
    (tmp_path / "off").mkdir()
    (tmp_path / "on").mkdir()
    with collector_of() as url:
        environment = variables(
            url,
            OTEL_BSP_MAX_QUEUE_SIZE="100",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="50",
            OTEL_EXPORTER_OTLP_TIMEOUT="10" if collector_of is silent else "0.3",
        )
        with (
            live_server(store.root, tmp_path / "off") as plain,
            live_server(
                store.root, tmp_path / "on", environment=environment, otel="true"
            ) as server,
            plain.client() as ask_plain,
            server.client() as ask,
        ):
            for client in 400 * [ask_plain, ask]:
                began = time.monotonic()
                assert client.get("/checkpoints").status_code == 200
                seconds.setdefault(id(client), []).append(time.monotonic() - began)
            without, traced = (median(seconds[id(client)]) for client in (ask_plain, ask))
            print(f"\nmedian {1e3 * without:.2f} ms, traced {1e3 * traced:.2f} ms")
            assert traced < 2 * without + 0.002
            began = time.monotonic()
            assert server.terminate() == 0
            assert time.monotonic() - began < FLUSH_S + 3
        of_otel = [each for each in server.log_lines() if each["logger"].startswith("opentel")]
        assert len(of_otel) <= 4, of_otel
        if collector_of is not silent:
            assert of_otel, "the operator must see it"


def test_a_message_of_opentelemetry_is_logged_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("service.otel.time.monotonic", lambda: now)
    passes = NowAndThen().filter

    def record(name: str, message: str, *values: object) -> logging.LogRecord:
        return logging.LogRecord(name, logging.WARNING, "", 0, message, values, None)

    exporter = "opentelemetry.exporter"
    assert [passes(record(exporter, "failed: %s", i)) for i in range(3)] == [True, False, False]
    assert passes(record(exporter, "another"))
    assert all(passes(record("service", "failed: %s", i)) for i in range(3))
    now += REPEAT_S
    assert [passes(record(exporter, "failed: %s", i)) for i in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", f"{MARK}@collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization: Bearer {MARK}"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ],
)
def test_a_variable_that_makes_no_sense_is_an_error(
    tmp_path: Path, variable: str, value: str
) -> None:
    ended = started(tmp_path, **{variable: value})
    assert ended.returncode == 2
    [line] = ended.stderr.strip().splitlines()
    assert variable.replace("_TRACES_P", "_P") in line or "SCORING_OTEL" in line
    assert MARK not in line


def test_the_missing_extra_is_named(tmp_path: Path) -> None:
    """Its packages are hidden by one of the same name that is not there."""
    hidden = (
        "import sys; sys.modules['opentelemetry.exporter'] = None;"
        "from service.__main__ import run; sys.exit(run([], 'service'))"
    )
    ended = started(tmp_path, "-c", hidden)
    assert ended.returncode == 2
    [line] = ended.stderr.strip().splitlines()
    assert line.startswith("SCORING_OTEL: ")
    assert "pip install 'fragment-scorer[otel]'" in line


def started(
    folder: Path, *arguments: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    chosen = {"SCORING_PORT": "0", "SCORING_OTEL": "true"}
    return subprocess.run(
        [sys.executable, *(arguments or ("-m", "service"))],
        env={**os.environ, **chosen, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
