"""`python -m service`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

ABOUT = """\
Serves scores over HTTP until SIGTERM, SIGINT or SIGQUIT; SIGHUP loads what was published since.

Settings are environment variables, of which service/README.md has the table. Those most used:
SCORING_HOST (127.0.0.1), SCORING_PORT (8000), SCORING_STORE, SCORING_CHECKPOINTS, SCORING_API_KEYS,
SCORING_ALLOW_ANONYMOUS.
"""
EXIT_CODES = """\
exit codes:
  0  stopped by a signal
  1  the default checkpoint cannot be used, or the engine died
  2  an argument or a setting makes no sense
  3  the port is taken
  4  the address is not this machine's, or may not be used
"""


def run(arguments: Sequence[str], program: str) -> int:
    """Serve until a signal ends it; the exit code.   Exits where an argument makes no sense."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=ABOUT,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on, instead of SCORING_HOST")
    parser.add_argument("--port", help="instead of SCORING_PORT; 0: any that is free")
    for name, value in vars(parser.parse_args(arguments)).items():
        if value is not None:
            os.environ[f"SCORING_{name.upper()}"] = value
    if hasattr(signal, "SIGHUP"):  # it means reload; until the first load there is nothing to do
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # FastAPI cannot be imported where this names a format that is not installed, even though
    # tracing is off; and where it is on, `traceparent` is all that is read.
    os.environ.pop("OTEL_PROPAGATORS", None)
    from service.server import main  # takes seconds

    return main()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "python -m service"))
