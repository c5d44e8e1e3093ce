"""`python -m service`."""

import signal
import sys

if __name__ == "__main__":
    if hasattr(signal, "SIGHUP"):  # "load what is new": a process that has not loaded yet will
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from service.server import main  # takes seconds

    sys.exit(main())
