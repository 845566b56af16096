"""The measured Celery app and its tasks; `BENCH_SIGNALS` names a file for the moments of its signals."""

import json
import os
import time

import psutil
from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.apps.settings")

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")
SIGNALS = {signals.task_received: "received", signals.task_prerun: "running", signals.task_success: "succeeded"}


@app.task(name="bench.empty")
def empty() -> None:
    """Do nothing: what is measured is all that is around a task."""


@app.task(name="bench.work")
def work(work_s: float) -> None:
    """Wait as a task does that calls somebody."""
    time.sleep(work_s)


@app.task(name="bench.mark")
def mark() -> None:
    """Note the moment and the CPU time used so far by the worker's two processes."""
    child, main = psutil.Process().cpu_times(), psutil.Process(os.getppid()).cpu_times()
    cpu_s = child.user + child.system + main.user + main.system
    with open(os.environ["BENCH_MARKS"], "a") as marks:
        marks.write(json.dumps({"at_s": time.monotonic(), "cpu_s": cpu_s}) + "\n")


def note_signals(path: str) -> None:
    """Write the moment of each signal; connected before anybody else's receivers, so that it is called first."""
    for signal, state in SIGNALS.items():

        def note(sender: object = None, state: str = state, **kwargs: object) -> None:
            moment_ns = time.time_ns()
            request = kwargs.get("request")
            task_id = kwargs.get("task_id") or (request.id if state == "received" else sender.request.id)  # type: ignore[attr-defined]
            with open(path, "a") as moments:
                moments.write(json.dumps([task_id, state, moment_ns]) + "\n")

        signal.connect(note, weak=False)


if "BENCH_SIGNALS" in os.environ:
    note_signals(os.environ["BENCH_SIGNALS"])
if os.environ["BENCH_VARIANT"] == "recipe":
    from bench.apps import recipe

    recipe.connect()
