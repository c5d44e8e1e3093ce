"""The page's words: each language has all of them, and the page uses all of them."""

import re
from pathlib import Path

import pytest

from service.http.page import WEB
from service.problem_kinds import INTERNAL, INVALID, KINDS, MALFORMED, NOT_FOUND

LANGUAGES = sorted((WEB / "words").glob("*.js"))
ENGLISH = WEB / "words" / "en.js"
OF_THE_PAGE = {"unreachable", "garbled", "method-not-allowed"}
SOURCES = [*WEB.glob("*.js"), WEB / "index.html"]


def table(language: Path, name: str) -> dict[str, str]:
    """One table of a language; each of its lines is one entry."""
    text = language.read_text()
    body = text.partition(f"export const {name} = {{\n")[2].partition("\n};")[0]
    entries = re.findall(r'^  "?([^":]+)"?: "(.*)",$', body, re.MULTILINE)
    assert len(entries) == len([line for line in body.splitlines() if line])
    assert len(dict(entries)) == len(entries)
    return dict(entries)


def values_of(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_can_be_chosen() -> None:
    words = (WEB / "words.js").read_text()
    assert len(LANGUAGES) >= 2
    for language in LANGUAGES:
        assert f'"./words/{language.name}"' in words


@pytest.mark.parametrize("name", ["TEXTS", "STAGES", "DIVES", "REASONS", "WARNINGS", "PROBLEMS"])
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: path.stem)
def test_a_language_has_every_text_with_its_values(language: Path, name: str) -> None:
    english, other = table(ENGLISH, name), table(language, name)
    assert other.keys() == english.keys()
    for key, text in other.items():
        assert values_of(text) == values_of(english[key]), key
        assert bool(text) == bool(english[key]), key


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: path.stem)
def test_every_problem_is_explained(language: Path) -> None:
    kinds = {kind.slug for kind in [*KINDS.values(), INTERNAL, INVALID, MALFORMED, NOT_FOUND]}
    assert table(language, "PROBLEMS").keys() == kinds | OF_THE_PAGE


def test_the_page_uses_every_text_and_no_other() -> None:
    texts = table(ENGLISH, "TEXTS").keys()
    source = "".join(path.read_text() for path in SOURCES)
    whole = set(re.findall(r'["`]([a-z]+(?:\.[\w.-]+)?)["`]', source)) & {*texts}
    asked = set(re.findall(r'\bsay\("([^"]+)"|data-(?:say|label)="([^"]+)"', source))
    assert {one or other for one, other in asked} <= texts
    # Keys that are put together: say(`step.${name}`), sayFor("clips", action).
    parts = [re.escape(each) for each in re.findall(r"`([a-z]+\.[^`]*\$\{[^`]*)`", source)]
    patterns = [re.sub(r"\\\$\\\{.*?\\\}", r"[\\w-]*", each) for each in parts]
    patterns += [rf"{group}\..*" for group in re.findall(r'sayFor\("([\w.]+)"', source)]
    unused = {key for key in texts - whole if not any(re.fullmatch(each, key) for each in patterns)}
    assert unused == set()
