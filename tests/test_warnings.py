"""Every warning and review reason is explained to those who read answers, by page and README."""

import re
from pathlib import Path

import pytest

from model_store.clip import ClipWarning
from model_store.confidence import REVIEWED, ReviewReason

ROOT = Path(__file__).parent.parent
WORDS = sorted((ROOT / "service" / "web" / "words").glob("*.js"))  # a language each
OF_THE_SCORE = {"score_above_range", "score_below_range", "not_kept"}


def test_the_table_of_the_readme() -> None:
    text = (ROOT / "service" / "README.md").read_text()
    table = text.partition("| warning | what it means | asks for review |\n")[2].partition("\n\n")[
        0
    ]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[1:]]
    asks = {name: row[2] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert asks.keys() == {*map(str, ClipWarning)} | OF_THE_SCORE
    for name, review in asks.items():
        known = name not in OF_THE_SCORE and ClipWarning(name) in REVIEWED
        assert review == (f"yes, `{REVIEWED[ClipWarning(name)]}`" if known else "no"), name


@pytest.mark.parametrize("language", WORDS, ids=lambda path: path.stem)
def test_the_page_has_a_sentence_for_each(language: Path) -> None:
    words = language.read_text()

    def explained(table: str) -> set[str]:
        body = words.partition(f"const {table} = {{\n")[2].partition("};")[0]
        sentences = dict(re.findall(r'^  (\w+): "(.+\.)",$', body, re.MULTILINE))
        assert len(sentences) == len(body.splitlines())
        return set(sentences)

    assert explained("WARNINGS") == {*map(str, ClipWarning)} | OF_THE_SCORE
    assert explained("REASONS") == set(map(str, ReviewReason))
