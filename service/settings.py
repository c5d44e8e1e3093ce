"""
Everything an operator can set: environment variables that begin with SCORING_.

The rule: no other module of the service takes settings from the environment, except `server.py`:
PORT, which some platforms set, replaces SCORING_PORT. (With SCORING_OTEL, `otel.py` and the SDK of
OpenTelemetry read that one's own variables, OTEL_….) HOST is ignored: shells and conda set it to
other things. (The commands of `model_store` read SCORING_STORE and SCORING_CACHE themselves.)
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model_store.engines import EngineName, gpu
from model_store.video.limits import ClipLimits
from service.machine import usable_cpus, usable_memory

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]

OWN_NAMES = frozenset(
    {"score", "rank", "panel", "clips", "checkpoints", "admin"}
    | {"livez", "readyz", "metrics", "docs", "openapi.json", "web"}
)
"""First parts of the service's own paths: a prefix that begins with one could not be recognised."""

DECODERS_SHARE = Fraction(2, 3)  # of the memory; the rest is for engine, uploads and answers
_LIMITS = ClipLimits()
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_QUOTES = ('"', "'")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SCORING_", frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on, or a name for one; 0.0.0.0 or :: for all."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes any free port; the log names it."""

    store: Path | None = None
    """Folder of checkpoints; the shipped ones if not set."""
    checkpoints: Annotated[tuple[str, ...], NoDecode] = ()
    """References to load, such as "diving,vault@1"; the current version of every name if empty."""
    default_checkpoint: str | None = None
    """For requests without `action` and `checkpoint`; "diving", or else the first, if not set."""
    engine: EngineName = "auto"
    engine_threads: Count = Field(default_factory=usable_cpus)
    """CPU threads of the engine; if not set, as many as there are usable CPUs."""
    cache: Path | None = None
    """Folder for converted networks; the user's cache folder if not set."""

    max_connections: Count = 500
    """Open at once; for one more, the one that is idle longest is closed, or else the new one."""
    head_timeout_s: Seconds = 15.0
    """For the head of a request to arrive, from the connection or its first byte on; and for a
    client to read some of an answer."""
    keep_alive_s: Count = 75
    """How long a connection stays open between requests: longer than a proxy keeps its own, which
    otherwise would send a request to a connection that is being closed."""
    max_upload_bytes: Count = 100_000_000
    """Of the whole request body; counted while it arrives."""
    max_inflight_bytes: Count = 2_000_000_000
    """Of all request bodies that are held at once."""
    body_timeout_s: Seconds = 120.0
    """For the whole request body to arrive."""
    body_bytes_per_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 4096.0
    """Slowest upload that is accepted, after the first ten seconds."""
    deadline_s: Seconds = 60.0
    """From the last byte of the request to its answer."""
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Accepted as `Authorization: Bearer …`, separated by commas; without any, no key is needed."""
    allow_anonymous: bool = False
    """Serve without keys on an address that others can reach."""
    published: str | None = None
    """Address and port at which a container is published, such as "127.0.0.1:8000": then this, and
    not `host`, decides whether others can reach the service."""
    metrics_need_key: bool = False
    root_path: str = ""
    """Prefix below which a proxy publishes the service, such as "/scorer"; the proxy may remove it
    or keep it."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Of pages elsewhere that may call the service from a browser, such as
    "https://judges.example"; "*" is any."""

    decode_timeout_s: Seconds = 40.0
    """Wall clock for one clip; then its worker is killed. Enough with half a processor."""
    decode_cpu_s: Count = 20
    """Processor time for one clip; beyond it the clip is refused."""
    decode_memory_bytes: Annotated[int, Field(ge=1 << 29)] = 5 << 28
    """Address space of a worker: 1.25 GiB. The costliest pictures that are decoded (3840 × 2160,
    colours 4:4:4 in 10 bits, 16 reference frames) take 1.1 GiB."""
    decode_workers: Count = Field(default=None, validate_default=True)
    """Processes; by default one more than there are usable CPUs, as far as memory allows. Of
    several, one decodes short clips only."""
    decode_clips_per_worker: Count = 500
    """After so many a worker is replaced by a fresh one."""
    max_clip_pixels: Count = _LIMITS.max_pixels
    """Of one frame."""
    max_clip_frames: Count = _LIMITS.max_frames
    max_clip_seconds: Seconds = _LIMITS.max_seconds

    result_cache_bytes: Annotated[int, Field(ge=0)] = 32 << 20
    """Of answers that are kept for the same clip with the same parameters; 0: none is kept."""
    archive: Path | None = None
    """Folder for the clips whose request asks for it; without one none is kept."""
    archive_bytes: Count = 50_000_000_000
    """Of all that is kept; beyond it no clip is added."""
    archive_days: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """After which a clip that was not scored again is forgotten; 0: never."""
    queue_fragments: Count = 576
    """Fragments of all clips that are being decoded, wait or are scored; 64 dives."""
    client_share: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Of the queue, and of the bytes of request bodies, that one client may take: a key, or an
    address where there are no keys."""
    batch_clips: Count = 8
    """Largest batch."""

    drain_s: Seconds = 30.0
    """After SIGTERM, for requests in flight to be answered."""
    drain_delay_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """After SIGTERM, how long the port stays open while /readyz already returns 503."""
    otel: bool = False
    """Send spans as OpenTelemetry's own variables, OTEL_…, have it."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("checkpoints", "api_keys", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if not _PREFIX.fullmatch(prefix) or {".", ".."} & {*prefix.split("/")}:
            raise ValueError("need a path that begins with a slash, such as /scorer")
        if (first := prefix.split("/")[1:2]) and first[0] in OWN_NAMES:
            raise ValueError(f"/{first[0]} is an address of the service itself, need another")
        return prefix

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value != "*" and value != (sent := origin_of(value)):
                need = (
                    f"{sent}, as browsers send it" if sent else "one such as https://judges.example"
                )
                raise ValueError(f"{value} is no origin, need {need}")
        return values

    @field_validator("decode_workers", mode="before")
    @classmethod
    def _affordable(cls, value: object, info: ValidationInfo) -> object:
        """If not set, for the usable CPUs, and one besides for short clips, if there is memory."""
        if value is not None:
            return value
        each = info.data.get("decode_memory_bytes", 1)  # it may have been refused
        return max(1, min(usable_cpus() + 1, DECODERS_SHARE * usable_memory() // each))

    @field_validator("*", mode="before")
    @classmethod
    def _unquoted(cls, value: object) -> object:
        """A shell removes quotes; `docker --env-file` and systemd's files may keep them."""
        parts = value.split(",") if isinstance(value, str) else ()
        if any(
            part.strip().startswith(_QUOTES) or part.strip().endswith(_QUOTES) for part in parts
        ):
            raise PydanticCustomError("quoted", "there are quotes around it, need it without")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _plain_digits(cls, value: object, info: ValidationInfo) -> object:
        """Python reads `1_0` as 10; whoever wrote it may have meant something else."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, str) and kind in (int, float) and "_" in value:
            raise PydanticCustomError("digits", "need a number in plain digits, such as 8000")
        return value

    @property
    def anybody_may_ask(self) -> bool:
        """Whether others can reach the service and need no key."""
        return self.allow_anonymous and not self.api_keys

    @property
    def clip_limits(self) -> ClipLimits:
        return ClipLimits(
            max_pixels=self.max_clip_pixels,
            max_frames=self.max_clip_frames,
            max_seconds=self.max_clip_seconds,
        )


def origin_of(url: str) -> str | None:
    """As a browser sends it: without path, and without the default port of the scheme."""
    try:
        parts = urlsplit(url)
        port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port
    except ValueError:
        return None
    if not parts.scheme or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def one_gpu() -> float:
    """What a score replica needs: a GPU, if there is one here."""
    return float(gpu.is_available())


class ClusterSettings(Settings):
    """The same for each replica of a cluster, and how many replicas there are."""

    decode_workers: Count = 1
    """Processes of a decode replica."""
    engine_threads: Count = 1
    """CPU threads of a score replica."""

    min_decode_replicas: Count = 1
    max_decode_replicas: Count = 8
    min_score_replicas: Count = 1
    max_score_replicas: Count = 4
    decode_cpus: Share = 1.0
    """That Ray reserves for a decode replica."""
    score_cpus: Share = 1.0
    score_gpus: Share = Field(default_factory=one_gpu)
    """That a score replica gets; by default 1 if there is a GPU where the cluster is started."""
    scale_up_s: Seconds = 30.0
    """How long there must be too much work before replicas are added."""
    scale_down_s: Seconds = 600.0
    """How long there must be too little before replicas are stopped."""
