"""A process of the stack that does what the journey asks, as `manage.py shell` would: one JSON line in, one out."""

from __future__ import annotations

import json
import os
import sys
import traceback

import django


def main() -> None:
    """Answer until the journey closes the pipe. What anyone prints goes to the log, not between the answers."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    django.setup()
    from django.db import close_old_connections

    from tests.harness import calls

    for line in sys.stdin:
        asked = json.loads(line)
        close_old_connections()
        try:
            answer = {"result": getattr(calls, asked["call"])(*asked["args"], **asked["options"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
