"""
A client of the service for Python programs. This file needs httpx and nothing else of the project:
import it, or copy it.

    with ScoringClient("http://127.0.0.1:8000", key="…") as client:
        answer = client.score("dive.mp4", difficulty=3.3, marks=[8.5, 8, 8, 8.5, 9, 8, 8])
        print(answer["score"], answer["interval"], answer["panel"]["total"])
        print(answer["scored_by"])  # "video and difficulty", or "video"

Answers are the service's JSON as dictionaries; `/docs` of a running service describes them. If the
service refuses a request, ScoringError is raised; its `type` never changes its meaning.

    httpx.HTTPError     the service cannot be reached, or closed the connection
    ScoringError        it answered with a problem (RFC 9457)
    └── Overloaded      it is full, also after the retries; `retry_after_s` is the time to wait
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx

Answer = dict[str, Any]
Clip = str | os.PathLike[str] | BinaryIO

_TIMEOUT = httpx.Timeout(10.0, read=120.0, write=120.0)  # seconds; a clip may wait in the queue


class ScoringError(Exception):
    """A problem that the service answered with."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or "no reason given")
        self.type: str = problem.get("type", "about:blank")
        self.status: int = problem.get("status", 0)
        self.request_id: str | None = problem.get("request_id")
        self.errors: list[dict[str, str]] = problem.get("errors") or []
        """The fields that are wrong, each with `name` and `reason`."""
        self.retry_after_s: int | None = problem.get("retry_after_s")


class Overloaded(ScoringError):
    """429, or a 503 with the time to wait."""


class ScoringClient:
    """Keeps connections open between calls; one may be used by many threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        retries: int = 3,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> None:
        """`url` may have a path. A request that is refused because the service is full is sent
        again, up to `retries` times, after the time that the service names."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._retries = retries
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def score(
        self,
        clip: Clip,
        *,
        action: str | None = None,
        checkpoint: str | None = None,
        difficulty: float | None = None,
        dive: str | None = None,
        height: float | None = None,
        marks: Sequence[float] | None = None,
        deductions: float | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        find: bool = False,
        frames: bool = False,
        keep: bool = False,
        on_event: Callable[[str, Answer], None] | None = None,
    ) -> Answer:
        """The score of a clip, which is a path or an open file. With a difficulty the score is
        based on that too, if the checkpoint predicts executions; see the answer's `scored_by`.
        `dive` and `height` (`"107B"`, 3 metres) say the same as its difficulty.

        `on_event` is called with the events meanwhile: `queued`, `decoding` with `done` and `of`,
        `scoring`. `find` looks for the routine in a longer recording, see the answer's `found_s`;
        `frames` asks for a JPEG of each fragment. `keep` asks the service to keep the clip in its
        archive; the answer's `kept` tells whether it did.
        """
        fields = {
            "action": action,
            "checkpoint": checkpoint,
            "difficulty": difficulty,
            "dive": dive,
            "height": height,
            "marks": None if marks is None else " ".join(map(str, marks)),
            "deductions": deductions,
            "start_s": start_s,
            "end_s": end_s,
            "find": "true" if find else None,
            "include": "frames" if frames else None,
            "keep": "true" if keep else None,
        }
        return self._send("/score", {"clip": [clip]}, fields, on_event)

    def rank(
        self,
        clips: Sequence[Clip],
        *,
        action: str | None = None,
        checkpoint: str | None = None,
        difficulties: Sequence[float | None] | None = None,
        dives: Sequence[str | None] | None = None,
        heights: Sequence[float | None] | None = None,
    ) -> Answer:
        """2 to 32 clips of one action in order, and how sure the order of each pair is.

        `difficulties`, or `dives` and `heights`, have one for each clip, None where it is not
        known.
        """
        fields = {
            "action": action,
            "checkpoint": checkpoint,
            "difficulty": _once_a_clip(difficulties),
            "dive": _once_a_clip(dives),
            "height": _once_a_clip(heights),
        }
        return self._send("/rank", {"clips": clips}, fields)

    def panel(
        self,
        marks: Sequence[float],
        difficulty: float | None = None,
        *,
        action: str = "diving",
        deductions: float = 0.0,
        dive: str | None = None,
        height: float | None = None,
    ) -> Answer:
        """The official total of a judges' panel, and which marks are out of line.

        It needs the difficulty, or the number of the dive and its height in metres.
        """
        fields = {
            "action": action,
            "marks": list(marks),
            "difficulty": difficulty,
            "deductions": deductions,
            "dive": dive,
            "height": height,
        }
        return _answer_of(self._http.post("/panel", json=fields))

    def panel_meet(self, dives: Sequence[Mapping[str, Any]], *, action: str = "diving") -> Answer:
        """What each judge's marks show over up to 1000 dives, and the total of each dive.

        A dive has `marks`, every judge always at the same place, and `difficulty`, or `dive` and
        `height`; `diver` and `deductions` may be left out.
        """
        fields = {"action": action, "dives": [dict(dive) for dive in dives]}
        return _answer_of(self._http.post("/panel/meet", json=fields))

    def clips(self) -> Answer:
        """The clips that the service has kept, newest first, and what judges gave for each."""
        return _answer_of(self._http.get("/clips"))

    def judged(
        self,
        sha256: str,
        *,
        marks: Sequence[float] | None = None,
        difficulty: float | None = None,
        dive: str | None = None,
        height: float | None = None,
        deductions: float | None = None,
        score: float | None = None,
        group: str | None = None,
    ) -> Answer:
        """Add what judges gave for a clip that is kept; `sha256` is the answer's `clip.sha256`.

        `group` is the athlete or the meet, by any name: training never splits a group.
        """
        fields = {
            "marks": None if marks is None else list(marks),
            "difficulty": difficulty,
            "dive": dive,
            "height": height,
            "deductions": deductions,
            "score": score,
            "group": group,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return _answer_of(self._http.post(f"/clips/{sha256}/judged", json=given))

    def forget(self, sha256: str) -> Answer:
        """Remove a clip that is kept, with all that belongs to it."""
        return _answer_of(self._http.delete(f"/clips/{sha256}"))

    def checkpoints(self) -> Answer:
        return _answer_of(self._http.get("/checkpoints"))

    def checkpoint(self, reference: str) -> Answer:
        """The card of `diving`, or of `diving@10`."""
        return _answer_of(self._http.get(f"/checkpoints/{reference}"))

    def ready(self) -> bool:
        return self._http.get("/readyz").is_success

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(
        self,
        path: str,
        clips: Mapping[str, Sequence[Clip]],
        fields: Mapping[str, Any],
        on_event: Callable[[str, Answer], None] | None = None,
    ) -> Answer:
        data = {name: value for name, value in fields.items() if value is not None}
        for attempt in range(self._retries + 1):
            try:
                with ExitStack() as stack:
                    files = [
                        (name, ("clip", _opened(clip, stack)))
                        for name, several in clips.items()
                        for clip in several
                    ]
                    if on_event is None:
                        return _answer_of(self._http.post(path, files=files, data=data))
                    accept = {"Accept": "text/event-stream"}
                    response = stack.enter_context(
                        self._http.stream("POST", path, files=files, data=data, headers=accept)
                    )
                    return _last_of(response, on_event)
            except Overloaded as error:
                if attempt == self._retries:
                    raise
                time.sleep(error.retry_after_s or 1)
        raise AssertionError  # the last attempt returns or raises


def _once_a_clip(values: Sequence[object] | None) -> list[str] | None:
    return None if values is None else ["" if each is None else str(each) for each in values]


def _opened(clip: Clip, stack: ExitStack) -> BinaryIO:
    """At its beginning, also when it is sent again."""
    if isinstance(clip, (str, os.PathLike)):
        return stack.enter_context(Path(clip).open("rb"))
    clip.seek(0)
    return clip


def _answer_of(response: httpx.Response) -> Answer:
    """Raises ScoringError."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):  # not from the service: a proxy in between
        body = {"title": response.reason_phrase, "status": response.status_code}
    elif response.is_success:
        answer: Answer = body
        return answer
    after = response.headers.get("retry-after", "")
    raise _error({"retry_after_s": int(after) if after.isdecimal() else None} | body)


def _last_of(response: httpx.Response, on_event: Callable[[str, Answer], None]) -> Answer:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        response.read()
        return _answer_of(response)
    for name, data in _events(response.iter_lines()):
        if name == "result":
            return data
        if name == "problem":
            raise _error(data)
        on_event(name, data)
    raise httpx.RemoteProtocolError("the stream ended without a result")


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Answer]]:
    """Server-sent events, each with one line of data."""
    name = "message"
    for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            yield name, json.loads(value)


def _error(problem: Mapping[str, Any]) -> ScoringError:
    status, after = problem.get("status"), problem.get("retry_after_s")
    again = status == 429 or (status == 503 and after is not None)
    return Overloaded(problem) if again else ScoringError(problem)
