"""`python -m bench live|billing|worker|latency|…`: run the benchmarks of a group, or one, and write RESULTS.md."""

from __future__ import annotations

import argparse
import gc
import importlib
import time

from bench.figures import GROUPS, SECTIONS, say


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", choices=[*GROUPS, *SECTIONS], help="a group of benchmarks, or one of them")
    what = parser.parse_args().what
    # A collection here would be measured as latency: this process is also the clients.
    gc.disable()
    began_s = time.monotonic()
    for section in GROUPS.get(what, [what]):
        print(importlib.import_module(f"bench.{section}").run() + "\n", flush=True)
    say(f"took {time.monotonic() - began_s:.0f} s")


if __name__ == "__main__":
    main()
