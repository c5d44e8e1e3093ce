"""`python -m service`."""

import argparse
import signal
import sys

ABOUT = """\
Serves scores over HTTP until SIGTERM, SIGINT or SIGQUIT; SIGHUP loads what was published since.

There are no options: settings are environment variables, of which service/README.md has the table.
Those most used: SCORING_HOST (127.0.0.1), SCORING_PORT (8000), SCORING_STORE, SCORING_CHECKPOINTS,
SCORING_API_KEYS, SCORING_ALLOW_ANONYMOUS.
"""
EXIT_CODES = """\
exit codes:
  0  stopped by a signal
  1  the default checkpoint cannot be used, or the engine died
  2  an argument or a setting makes no sense
  3  the port is taken
  4  the address is not this machine's, or may not be used
"""


def check_arguments() -> None:
    """There are none but `--help`.   Exits."""
    argparse.ArgumentParser(
        prog="python -m service",
        description=ABOUT,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()


if __name__ == "__main__":
    check_arguments()
    if hasattr(signal, "SIGHUP"):  # it means reload; until the first load there is nothing to do
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from service.server import main  # takes seconds

    sys.exit(main())
