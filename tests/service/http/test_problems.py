import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from model_store import errors as store_errors
from service import errors
from service.http.problems import problem_of
from service.problem_kinds import KINDS


def below(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from below(sub)


ALL = sorted(
    {*below(store_errors.ModelStoreError), *below(errors.ServiceError)}, key=lambda c: c.__name__
)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_has_an_entry_below_the_two_bases(cls: type[Exception]) -> None:
    bases = (store_errors.ModelStoreError, errors.ServiceError)
    assert cls in bases or any(each in KINDS for each in cls.__mro__ if each not in bases)


def test_a_type_means_one_thing() -> None:
    titles = {(kind.slug, kind.title, kind.status) for kind in KINDS.values()}
    assert len({slug for slug, _, _ in titles}) == len(titles)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret at 0x7f12"),
        store_errors.EngineError("secret"),
        store_errors.CheckpointCorrupt("secret /path"),
        KeyError("secret"),
        HTTPException(500, "secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_our_own_faults_reveal_nothing(error: Exception) -> None:
    problem = problem_of(error)
    assert problem.kind.status == 500
    assert "secret" not in json.dumps(problem.body())


def test_what_reading_the_body_raised_is_what_counts() -> None:
    """FastAPI makes a 400 of everything that goes wrong while it reads a form."""
    for cause, status in (
        (errors.BodyTooLarge("x"), 413),
        (errors.BodyTimeout("x"), 408),
        (OSError(errno.ENOSPC, "secret"), 507),
        (OSError(errno.EMFILE, "secret"), 503),
        (MemoryError("secret"), 503),
        (OSError(errno.EROFS, "secret"), 500),
        (ValueError("secret"), 400),
    ):
        error = HTTPException(400, "There was an error parsing the body")
        error.__cause__ = cause
        assert problem_of(error).kind.status == status
        assert "secret" not in json.dumps(problem_of(error).body())


@pytest.mark.parametrize("cls", [errors.QueueFull, errors.DecoderInterrupted])
def test_what_passes_says_when_to_come_back(cls: Any) -> None:
    problem = problem_of(cls("busy", retry_after_s=7))
    assert problem.headers["Retry-After"] == "7"
    assert problem.body()["retry_after_s"] == 7


def test_unauthorised_names_the_scheme() -> None:
    assert problem_of(errors.Unauthorised("x")).headers["WWW-Authenticate"] == "Bearer"


def test_texts_are_short_and_printable() -> None:
    name = "\x1b[31m\n" + "x" * 10_000
    wrong = {"loc": ("body", name), "msg": "Extra inputs are not permitted", "type": "x"}
    body = problem_of(RequestValidationError([wrong] * 50)).body()
    assert len(json.dumps(body)) < 10_000
    assert body["errors"][0]["name"].isprintable()
    assert body["detail"].isprintable()
    assert len(body["detail"]) <= 300


def test_every_type_is_in_the_readme_with_its_status() -> None:
    readme = (Path(__file__).parents[3] / "service/README.md").read_text().splitlines()
    for kind in {*KINDS.values()} - {KINDS[errors.ClientGone]}:  # nobody reads that answer
        [row] = [line for line in readme if f"`{kind.uri}`" in line and line.startswith("| ")]
        assert row.startswith(f"| {kind.status} |")
