"""`python -m bench [worker|latency|fanout|invoicing|pdf|export]`: run one benchmark or all, and write RESULTS.md."""

from __future__ import annotations

import argparse
import gc
import importlib
import time

from bench.figures import SECTIONS, say


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("section", nargs="?", choices=SECTIONS, help="one benchmark; all without it")
    chosen = parser.parse_args().section
    # A collection here would be measured as latency: this process is also the clients.
    gc.disable()
    began_s = time.monotonic()
    for section in [chosen] if chosen else SECTIONS:
        print(importlib.import_module(f"bench.{section}").run() + "\n", flush=True)
    say(f"took {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
