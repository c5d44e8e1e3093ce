"""
The fields of requests are checked: nothing that a client sends is ignored.

A query string, a field that does not exist, one that is sent twice, a text where a file is needed:
each is an error that names it, and what was meant where that can be guessed.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, get_args
from urllib.parse import parse_qsl

from fastapi import UploadFile, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import UploadFile as Upload  # the class of what a form holds
from starlette.requests import Request
from starlette.responses import Response

from service.errors import InvalidParameter

MOST_FIELDS = 16  # of an ordinary form
_JSON = re.compile(r"application/([^/]+\+)?json")


class StrictRoute(APIRoute):
    """Refuses a query string before the body is read: no address takes parameters in it.

    And a JSON body that cannot be parsed, before FastAPI tries: it has one text for all reasons.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_fields = "POST" in (self.methods or ()) and self.body_field is not None
        takes_json = takes_fields and not isinstance(self.body_field.field_info, params.Form)  # type: ignore[union-attr]

        async def without_query(request: Request) -> Response:
            if request.url.query:
                names = dict.fromkeys(name for name, _ in _pairs(request.url.query))
                need = "in the query string, where nothing is read"
                if takes_fields:
                    need += "; need a field of the body"
                raise _wrong("query", {name or "query": need for name in names or ["query"]})
            if takes_json and is_json(request):
                json_of(await request.body())
            return await handle(request)

        return without_query


def check_fields(
    form: type[BaseModel],
    sent: Iterable[tuple[str, object]],
    *,
    repeatable: frozenset[str] = frozenset(),
) -> None:
    """Raises RequestValidationError for what `form` does not have or take in this way."""
    files = {
        name
        for name, field in form.model_fields.items()
        if UploadFile in (field.annotation, *get_args(field.annotation))
    }
    values: dict[str, list[object]] = {}
    for name, value in sent:
        values.setdefault(name, []).append(value)
    wrong = {}
    for name, given in values.items():
        uploads = sum(isinstance(value, Upload) for value in given)
        if name not in form.model_fields:
            wrong[name] = _unknown(name, form, files if uploads else set())
        elif name in files and uploads < len(given):
            wrong[name] = "a text, need a file with a filename"
        elif name not in files and uploads:
            wrong[name] = "a file, need a text without a filename"
        elif len(given) > 1 and name not in repeatable:
            wrong[name] = f"sent {len(given)} times, need it once"
    if wrong:
        raise _wrong("body", wrong)


def check_body(form: type[BaseModel], body: bytes, *, is_json: bool) -> None:
    """The same for a body that is one JSON object, or an ordinary form."""
    if not is_json:
        check_fields(form, form_pairs(body))
        return
    found = json_of(body)
    if isinstance(found, _Object):
        check_fields(form, found)
        if wrong := {name: "there twice, need it once" for name in _twice(found)}:
            raise _wrong("body", wrong)


def is_json(request: Request) -> bool:
    """By its media type, as FastAPI takes it."""
    return _JSON.fullmatch(_media_type(request)) is not None


def is_form(request: Request) -> bool:
    """An ordinary one, without files."""
    return _media_type(request) == "application/x-www-form-urlencoded"


def json_of(body: bytes) -> object:
    """What is in a JSON text, each object as a list of pairs.   Raises InvalidParameter."""
    try:
        return json.loads(body, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        wrong = f"not JSON at character {error.pos}: {error.msg}"
    except UnicodeDecodeError:
        wrong = "JSON that is not in UTF-8"
    except RecursionError:
        wrong = "JSON that is nested too deeply"
    except ValueError:  # Python limits the digits of an integer
        wrong = "JSON with a number of too many digits"
    raise InvalidParameter(f"{wrong}; need one object", field="body")


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The fields of an ordinary form, in order.   Raises InvalidParameter if they are too many."""
    try:
        return _pairs(body.decode("ascii", "replace"), most=MOST_FIELDS)
    except ValueError as error:
        raise InvalidParameter(f"more than {MOST_FIELDS} fields", field="body") from error


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _pairs(text: str, most: int | None = None) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=most)


class _Object(list[tuple[str, object]]):
    """A JSON object with every key that it came with, also one that is there twice."""


def _twice(found: _Object) -> Iterator[str]:
    """The keys that an object in a list has more than once: `dives[3].marks`."""
    for name, value in found:
        for index, inside in enumerate(value if isinstance(value, list) else ()):
            if isinstance(inside, _Object) and len(inside) > 1:
                for key, count in Counter(key for key, _ in inside).items():
                    if count > 1:
                        yield f"{name}[{index}].{key}"


def _unknown(name: str, form: type[BaseModel], files: set[str]) -> str:
    """`files` are the fields that may be meant where a file came under this name."""
    known = sorted(form.model_fields)
    near = get_close_matches(name.lower(), known, n=1) or sorted(files)
    hint = f", did you mean {near[0]}?" if near else "."
    return f"no such field{hint} There are {', '.join(known)}"


def _wrong(where: str, reasons: dict[str, str]) -> RequestValidationError:
    return RequestValidationError(
        [
            {"loc": (where, name), "msg": reason, "type": "value_error"}
            for name, reason in reasons.items()
        ]
    )
