"""
Past one machine: the same application on Ray Serve, `serve run service.cluster:app`.

    HTTP proxies → decode replicas ──frames──▶ score replicas (a GPU each, where there are any)

Both scale on their own queue: clips that are decoded or wait for it, clips that are scored or wait
for that. How many there may be, and what each takes, is in `settings.ClusterSettings`.
"""

import os
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import (
    AutoscalingConfig,
    AutoscalingContext,
    AutoscalingPolicy,
    BackpressureConfig,
)
from ray.serve.schema import LoggingConfig

from service.cluster.decode_replica import DECODE, DECODING, DecodeReplica
from service.cluster.score_replica import ScoreReplica
from service.scoring.admission import RETRY_AFTER_S
from service.settings import ClusterSettings

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray reports its use to its makers
QUIET = LoggingConfig(enable_access_log=False)  # the application has its own, without paths


def app(settings: ClusterSettings) -> Application:
    """What Serve runs; `name=value` behind its name on the command line overrides a setting.

    Raises ValueError if anybody could use it and no setting allows that.
    """
    if not (settings.api_keys or settings.allow_anonymous):
        raise ValueError(
            "SCORING_API_KEYS: need a key, since Serve's proxies may listen on any address;"
            " or let anybody in with SCORING_ALLOW_ANONYMOUS=true"
        )
    score = serve.deployment(
        name="score",
        ray_actor_options={"num_cpus": settings.score_cpus, "num_gpus": settings.score_gpus},
        max_ongoing_requests=4 * settings.batch_clips,
        autoscaling_config=AutoscalingConfig(
            min_replicas=settings.min_score_replicas,
            max_replicas=settings.max_score_replicas,
            target_ongoing_requests=2 * settings.batch_clips,  # one batch runs, one waits
            **delays(settings),
        ),
        graceful_shutdown_timeout_s=settings.drain_s,
        logging_config=QUIET,
    )
    decode = serve.deployment(
        name=DECODE,
        ray_actor_options={"num_cpus": settings.decode_cpus},
        max_ongoing_requests=settings.max_connections,
        max_queued_requests=settings.max_connections,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=RETRY_AFTER_S[0]),
        autoscaling_config=AutoscalingConfig(
            min_replicas=settings.min_decode_replicas,
            max_replicas=settings.max_decode_replicas,
            target_ongoing_requests=2 * settings.decode_workers,  # one decodes, one waits
            policy=AutoscalingPolicy(policy_function=by_decoding),  # type: ignore[no-untyped-call]
            **delays(settings),
        ),
        graceful_shutdown_timeout_s=settings.drain_s,
        logging_config=QUIET,
    )
    return decode(DecodeReplica).bind(settings, score(ScoreReplica).bind(settings))


def delays(settings: ClusterSettings) -> dict[str, Any]:
    return {
        "upscale_delay_s": settings.scale_up_s,
        "downscale_delay_s": settings.scale_down_s,
        "look_back_period_s": settings.scale_up_s,
    }


def by_decoding(context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
    """Decode replicas for the clips that are to be decoded: slow scoring needs no more of them."""
    clips = (context.aggregated_metrics or {}).get(DECODING, {})  # by replica
    target: float = context.config.target_ongoing_requests  # type: ignore[union-attr]
    return sum(clips.values()) / target, {}
