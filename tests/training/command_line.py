"""Commands of `python -m training`, called in this process."""

from typer.testing import CliRunner, Result

from training.__main__ import app


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def succeed(*words: object) -> str:
    """What a command has printed that did what it was asked to do."""
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.output


def error_message(result: Result) -> str:
    """What a command has printed that refused its options or its data."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.output.count("error:") == 1
    return result.output
