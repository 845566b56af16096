"""A small process that outlives whoever started it just long enough to stop what that one left behind.

It holds the read end of a pipe. A line `123` registers a process group, `-123` forgets it. When the pipe ends, its
owner is gone (orderly, or by `kill -9`), and every group still registered is stopped, the newest first.
"""

import os
import signal
import sys
import time

GRACE_S = 6.0  # shared by all groups; what still runs then is killed


def gone(pid: int) -> bool:
    """Say whether a process has ended. A zombie has: nobody may be there to collect it."""
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return False


def kill_group(pid: int) -> None:
    """Kill what is left of a process group; its leader may be gone already."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says PermissionError for a group of zombies
        return


def stop(pids: list[int]) -> None:
    """Stop process groups one after the other, the newest first, as each may need the ones before it."""
    deadline = time.monotonic() + GRACE_S
    for pid in reversed(pids):
        if not gone(pid):
            os.kill(pid, signal.SIGTERM)
        while not gone(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        kill_group(pid)


def main() -> None:
    """Read registrations until the pipe ends, then stop what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pids: list[int] = []
    for line in sys.stdin:
        pid = int(line)
        if pid > 0:
            pids.append(pid)
        elif -pid in pids:
            pids.remove(-pid)
    stop(pids)


if __name__ == "__main__":
    main()
