"""
The routes: each turns a request into one call of the service, and what that returns into an answer.

Whatever goes wrong is an exception, which becomes a problem further out.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import AfterValidator, BaseModel

from model_store.judging.difficulty import check_difficulty
from model_store.judging.dive_difficulty import declared
from model_store.judging.panel import judge
from service.errors import ClientGone, EngineDead, InvalidParameter, MalformedUpload, Unauthorised
from service.http import events
from service.http.form_fields import StrictRoute, check_body, check_fields, is_form, is_json
from service.http.request_context import RequestContext
from service.http.wire.archive import (
    ClipsAnswer,
    ForgottenAnswer,
    JudgedForm,
    KeptClipAnswer,
    clips_answer,
    kept_clip_answer,
)
from service.http.wire.checkpoints import (
    CheckpointDetail,
    CheckpointList,
    ReloadAnswer,
    checkpoint_detail,
    checkpoint_list,
    reload_answer,
)
from service.http.wire.fields import REFERENCE
from service.http.wire.health import Health
from service.http.wire.meet import BODY_BYTES, MEET_BODY, MeetAnswer, judged_meet
from service.http.wire.panel import PanelAnswer, PanelForm, panel_answer, panel_of
from service.http.wire.problem import ProblemAnswer
from service.http.wire.ranking import MOST, RankAnswer, RankForm, rank_answer
from service.http.wire.score import ScoreAnswer, ScoreForm, score_answer
from service.scoring.judged import Given
from service.scoring.progress import OnProgress
from service.scoring.scoring_service import ScoringService

T = TypeVar("T")

SCORE_PATH, RANK_PATH = "/score", "/rank"
SCORING_PATHS = frozenset({SCORE_PATH, RANK_PATH})
RELOAD_PATH = "/admin/reload"
MEET_PATH = "/panel/meet"
BODY_LIMITS = {MEET_PATH: BODY_BYTES}  # of calls that bring no clip, and yet much
MAX_FIELD = 4096  # bytes of a form field that is not the file
MOST_FILES = 8  # of POST /score, to name what should have been a field

_WHEN = {
    400: "Malformed multipart, or an empty file",
    401: "An API key is needed, or is wrong",
    403: "A page of another origin has sent it",
    404: "No such checkpoint, or no such clip is kept",
    406: "`Accept` refuses both JSON and events",
    408: "The body did not arrive in time",
    409: "A new version cannot be used; the old one stays",
    413: "Too many bytes, pixels, frames or seconds",
    415: "Not a video of a kind that is decoded here",
    422: "Parameters that cannot be used, or a clip that cannot be scored",
    429: "Too much work is waiting; `Retry-After` is the time to wait",
    500: "Our fault; quote the request id",
    503: "Not ready yet, or going down",
    504: "The answer was not ready in time",
    507: "No room for the upload",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ProblemAnswer, "description": _WHEN[status]} for status in statuses}


def service_of(request: Request) -> ScoringService:
    service: ScoringService = request.app.state.service
    return service


def context_of(request: Request) -> RequestContext:
    return RequestContext.of(request.scope)


def require_multipart(request: Request) -> None:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise MalformedUpload("the body must be multipart/form-data, each clip a file in it")


async def score_fields(request: Request) -> None:
    require_multipart(request)
    check_fields(ScoreForm, (await request.form()).multi_items())


async def rank_fields(request: Request) -> None:
    require_multipart(request)
    several = frozenset({"clips", "action", "difficulty", "dive", "height"})
    check_fields(RankForm, (await request.form()).multi_items(), repeatable=several)


def json_or_form(form: type[BaseModel]) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency that checks the fields of a body that brings no file."""

    async def check(request: Request) -> None:
        if not (is_json(request) or is_form(request)):
            need = "need application/json or application/x-www-form-urlencoded"
            raise InvalidParameter(need, field="body")
        check_body(form, await request.body(), is_json=is_json(request))

    return check


Service = Annotated[ScoringService, Depends(service_of)]
Context = Annotated[RequestContext, Depends(context_of)]
Reference = Annotated[
    str, Path(pattern=REFERENCE, description="`diving`, or `diving@1` for one version.")
]
Hash = Annotated[
    str,
    Path(pattern=r"^[0-9A-Fa-f]{64}$", description="`clip.sha256` of the answer."),
    AfterValidator(str.lower),
]
router = APIRouter(route_class=StrictRoute)


@router.post(
    SCORE_PATH,
    operation_id="score",
    summary="Score a clip",
    tags=["scoring"],
    response_model=ScoreAnswer,
    response_model_exclude_unset=True,
    responses=problems(400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 500, 503, 504, 507)
    | {200: {"content": {events.MEDIA_TYPE: {"example": events.EXAMPLE}}}},
    dependencies=[Depends(score_fields)],
    form_limits={"max_files": MOST_FILES, "max_fields": 16, "max_part_size": MAX_FIELD},
)
async def score(
    request: Request,
    response: Response,
    service: Service,
    context: Context,
    form: Annotated[ScoreForm, Form(media_type="multipart/form-data")],
) -> ScoreAnswer | Response:
    """The predicted score of a routine, and what each part of it contributed, in points.

    A checkpoint whose `target` is `both` answers with the execution × or + the difficulty where one
    is declared, and with the final score where none is; `scored_by` names which it was, and
    contributions and interval are those of the answer.

    With `marks` also the panel's official total, and how far each judge is from the others and
    from the model. With `Accept: text/event-stream` the answer is a stream of events: `queued`,
    `decoding`, `scoring`, then `result` or `problem`.
    """
    service.note_upload(context.began)
    if form.keep and not service.archive.enabled:
        need = "this service keeps no clips: SCORING_ARCHIVE is not set"
        raise InvalidParameter(need, field="keep")
    if form.keep and not service.keeps_clips:
        raise Unauthorised("keep needs a key where anybody may use the service")
    chosen = service.choose(form.action, form.checkpoint)
    action = chosen.card.action
    difficulty, dive = declared(action, form.difficulty, form.dive, form.height)
    if difficulty is not None:
        check_difficulty(action, difficulty)
    panel = panel_of(action, form.marks, difficulty, form.deductions)
    clip = form.clip_to_score(chosen, context.began, context.client, difficulty)

    async def work(on_progress: OnProgress | None = None) -> ScoreAnswer:
        scored = await service.score(clip, on_progress)
        if service.results.enabled:
            response.headers["X-Cache"] = "hit" if scored.is_repeated else "miss"
        given = None if panel is None else Given.by(panel)
        kept = await service.archive.keep(clip, scored, given) if form.keep else None
        return score_answer(scored, context.id, panel, dive, kept=kept)

    if events.wants_events(request):
        return await events.stream(request, work)
    answer = await unless_gone(request, work())
    response.headers["Server-Timing"] = ", ".join(
        f"{name};dur={milliseconds:.1f}" for name, milliseconds in answer.timings_ms
    )
    return answer


@router.post(
    RANK_PATH,
    operation_id="rank",
    summary="Put clips in order",
    tags=["scoring"],
    responses=problems(400, 401, 403, 404, 408, 413, 422, 429, 500, 503, 504, 507),
    dependencies=[Depends(rank_fields)],
    form_limits={"max_files": MOST + 1, "max_fields": 4 * MOST + 8, "max_part_size": MAX_FIELD},
)
async def rank(
    request: Request,
    service: Service,
    context: Context,
    form: Annotated[RankForm, Form(media_type="multipart/form-data")],
) -> RankAnswer:
    """2 to 32 clips of one action, best first, and how sure each neighbouring pair is."""
    service.note_upload(context.began)
    chosen = service.choose(form.one_action(), form.checkpoint)
    known = form.declared(chosen.card.action)
    clips = form.clips_to_score(chosen, context.began, context.client, known)
    ranking = await unless_gone(request, service.rank(clips))
    return rank_answer(ranking, chosen, context.id, known)


@router.post(
    "/panel",
    operation_id="check_panel",
    summary="Check a panel without a clip",
    tags=["scoring"],
    responses=problems(400, 401, 403, 408, 413, 422, 500),
    dependencies=[Depends(json_or_form(PanelForm))],
)
async def check_panel(form: PanelForm) -> PanelAnswer:
    """The official total of a judges' panel, and which marks are out of line.

    JSON, or the same fields as an ordinary form (`marks=8.5,8,8,8.5,9,8,8&difficulty=3.3`).
    """
    difficulty, dive = declared(form.action, form.difficulty, form.dive, form.height)
    return panel_answer(judge(form.action, form.marks, difficulty, form.deductions), dive=dive)


@router.post(
    MEET_PATH,
    operation_id="check_meet",
    summary="Check the judges over a whole meet",
    tags=["scoring"],
    response_model=MeetAnswer,
    responses=problems(400, 401, 403, 408, 413, 422, 500),
    openapi_extra={"requestBody": MEET_BODY},
)
async def check_meet(request: Request) -> Response:
    """Each judge's bias, spread, agreement and marks out of line over up to 1000 dives, with
    intervals and with what real judges show; and the total of every dive.

    Every judge is always at the same place in `marks`.
    """
    if not is_json(request):
        raise InvalidParameter("need application/json", field="body")
    body = await request.body()
    async with request.app.state.one_meet:  # on one thread, so that others get their turn
        answer = await asyncio.to_thread(judged_meet, body)
    return Response(answer, media_type="application/json")


@router.get(
    "/clips",
    operation_id="list_clips",
    summary="What is kept",
    tags=["archive"],
    responses=problems(401, 404, 422, 500, 503),
)
async def list_clips(service: Service) -> ClipsAnswer:
    """The clips of the archive, newest first, and what judges gave for each."""
    return clips_answer(await service.archive.listing())


@router.post(
    "/clips/{sha256}/judged",
    operation_id="add_judged",
    summary="Add what judges gave for a kept clip",
    tags=["archive"],
    responses=problems(400, 401, 403, 404, 408, 413, 422, 500, 503, 507),
    dependencies=[Depends(json_or_form(JudgedForm))],
)
async def add_judged(sha256: Hash, form: JudgedForm, service: Service) -> KeptClipAnswer:
    """Marks, the difficulty or a score, as JSON or as an ordinary form. Marks are counted by the
    rules, as in `/panel`, with the difficulty given here, before, or with the request to score."""
    return kept_clip_answer(await service.archive.judge(sha256, form.given()))


@router.delete(
    "/clips/{sha256}",
    operation_id="forget_clip",
    summary="Remove a kept clip",
    tags=["archive"],
    responses=problems(401, 403, 404, 422, 500, 503),
)
async def forget_clip(sha256: Hash, service: Service) -> ForgottenAnswer:
    """The file, its answer and what judges gave. A clip that is not kept (any more) is a 404."""
    await service.archive.forget(sha256)
    return ForgottenAnswer(sha256=sha256, forgotten=True)


@router.get(
    "/checkpoints",
    operation_id="list_checkpoints",
    summary="What is loaded",
    tags=["checkpoints"],
    responses=problems(401, 422, 500),
)
async def list_checkpoints(service: Service) -> CheckpointList:
    return checkpoint_list(service.checkpoints, keeps_clips=service.keeps_clips)


@router.get(
    "/checkpoints/{name}",
    operation_id="show_checkpoint",
    summary="The card of a checkpoint",
    tags=["checkpoints"],
    responses=problems(401, 404, 422, 500, 503),
)
async def show_checkpoint(name: Reference, service: Service) -> CheckpointDetail:
    return checkpoint_detail(service.checkpoints.get(name))


@router.get(
    "/livez",
    operation_id="livez",
    summary="Whether the process should be left running",
    tags=["operation"],
    response_model_exclude_defaults=True,
    responses=problems(422, 503),
)
async def livez(service: Service) -> Health:
    if not service.alive:
        raise EngineDead("the service must be restarted")
    return Health(status="ok", unusable=[])


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Whether to send requests here",
    tags=["operation"],
    response_model_exclude_defaults=True,
    responses=problems(422, 503),
)
async def readyz(service: Service) -> Health:
    service.require_ready()
    return Health(status="ready", unusable=list(service.checkpoints.unusable))


@router.post(
    RELOAD_PATH,
    operation_id="reload",
    summary="Serve what was published since",
    tags=["operation"],
    responses=problems(401, 403, 409, 422, 500, 503),
)
async def reload(service: Service) -> ReloadAnswer:
    """Loads new versions beside the old ones and swaps them in. Needs a key in any case."""
    outcome = await service.reload()
    return reload_answer(outcome, await list_checkpoints(service))


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="For Prometheus",
    tags=["operation"],
    response_class=Response,
    responses=problems(401, 422, 500) | {200: {"content": {"text/plain": {}}}},
)
async def metrics(service: Service) -> Response:
    return Response(await service.exposition(), media_type=CONTENT_TYPE_LATEST)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client hangs up.   Raises ClientGone."""

    async def hang_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(hang_up())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
