"""What a client sends reaches no log line, no metric and no span, whatever the environment says."""

import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_store.store import Store
from tests.clips import clip_bytes
from tests.servers import live_server

SECRETS = ("secret-in-query", "secret-in-path", "secret-in-header", "secret-in-field", "4.23571")

# As an operator's wrapper would: providers for all three signals before the service is imported.
WRAPPED = """
import runpy
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

out = open("exported", "w", buffering=1)
traces = TracerProvider()
traces.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=out)))
trace.set_tracer_provider(traces)
reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=out), 100)
metrics.set_meter_provider(MeterProvider([reader]))
logs = LoggerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(out=out)))
_logs.set_logger_provider(logs)
with trace.get_tracer("test").start_as_current_span("the exporter works"):
    pass
runpy.run_module("service", run_name="__main__")
"""


def test_nothing_that_a_client_sent_leaves_the_service(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/secret-in-path")
    settings: dict[str, Any] = {"log_level": "debug", "checkpoints": "diving", "api_keys": "a-key"}
    command = (sys.executable, "-c", WRAPPED)
    with live_server(store.root, tmp_path, command=command, **settings) as server:
        for headers in ({}, {"authorization": "Bearer a-key", "x": "secret-in-header"}):
            for path in ("/score?q=secret-in-query", "/secret-in-path", "/score"):
                httpx.post(
                    server.url + path,
                    headers=headers | {"cookie": "a=secret-in-header"},
                    files={"clip": ("secret-in-field.mp4", clip_bytes(frames=5))},
                    data={"difficulty": "4.23571", "secret-in-field": "secret-in-field"},
                    timeout=60,
                )
            httpx.get(f"{server.url}/checkpoints/secret-in-path", headers=headers)
            httpx.get(f"{server.url}//docs?secret-in-query", headers=headers)
        exposed = httpx.get(f"{server.url}/metrics").text
        time.sleep(0.5)  # for the exporters
        exported = (tmp_path / "exported").read_text()
        logged = server.log.read_text()
    assert "the exporter works" in exported
    for secret in SECRETS:
        assert secret not in exported
        assert secret not in logged
        assert secret not in exposed
    assert "http.server" not in exported
