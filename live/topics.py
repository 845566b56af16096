"""What a page can ask for: topics by name, and the filter of a list. One meaning, for the database and for memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from live import events

RUNS = "runs"
RUN_PREFIX = "run:"
_MAX_TEXT_CHARS = 255
_UNASKABLE = re.compile("[\\x00\\ud800-\\udfff]")


class BadFilter(ValueError):
    """A filter names a field or value that there is not; the message says what was expected and what came."""


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which runs a list shows; an empty part lets everything through."""

    state: tuple[str, ...] = ()
    task: str = ""
    kind: str = ""
    owner: str = ""
    queue: str = ""
    worker: str = ""
    schedule: str = ""
    #: Found inside the title, the task's name or the id, whatever the case of A to Z.
    q: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Filter:
        """Read the filter of an address: `request.GET`, whose `state` may come several times. Raises BadFilter."""
        states = query.getlist("state") if hasattr(query, "getlist") else query.get("state", [])
        states = [states] if isinstance(states, str) else states
        values: dict[str, Any] = {name: query.get(name, "") for name in TEXT_FIELDS}
        return cls.from_wire({**values, "state": [state for state in states if state]})

    @classmethod
    def from_wire(cls, value: Any) -> Filter:
        """Read the `filter` of a subscribe frame. Raises BadFilter."""
        if not isinstance(value, dict):
            raise BadFilter(f"A filter is an object, not {type(value).__name__}.")
        unknown = [name for name in value if name not in cls.__struct_fields__]
        if unknown:
            raise BadFilter(f"A filter has the fields {', '.join(cls.__struct_fields__)}, not {unknown[0][:50]!r}.")
        states = value.get("state", [])
        states = [states] if isinstance(states, str) else states
        if not isinstance(states, list | tuple) or any(state not in events.STATES for state in states):
            raise BadFilter(f"A filter's state is among {', '.join(events.STATES)}.")
        for name in TEXT_FIELDS:
            text = value.get(name, "")
            if not isinstance(text, str) or not is_askable(text):
                raise BadFilter(f"A filter's {name} is a text of at most {_MAX_TEXT_CHARS} characters.")
        if value.get("kind", "") not in ("", *events.KINDS):
            raise BadFilter(f"A filter's kind is one of {', '.join(events.KINDS)}.")
        texts = {name: value.get(name, "").strip() for name in TEXT_FIELDS}
        return cls(state=tuple(sorted(set(states))), **texts)

    def matches_scope(self, row: events.Row) -> bool:
        """Whether the row counts for this list: all of the filter but its state, so that tabs can show numbers.

        `queries` says the same in SQL.
        """
        if any(value and value != getattr(row, name) for name, value in self._exact()):
            return False
        wanted = fold(self.q)
        return not wanted or any(wanted in fold(text) for text in (row.title, row.task, row.id))

    def as_query(self) -> str:
        """Write the filter as the query of an address."""
        pairs = [("state", state) for state in self.state]
        pairs += [(name, getattr(self, name)) for name in TEXT_FIELDS if getattr(self, name)]
        return urlencode(pairs)

    def _exact(self) -> list[tuple[str, str]]:
        return [(name, getattr(self, name)) for name in EXACT_FIELDS]


TEXT_FIELDS = tuple(name for name in Filter.__struct_fields__ if name != "state")
#: The fields that must be equal.
EXACT_FIELDS = tuple(name for name in TEXT_FIELDS if name != "q")


_UPPER = {ord(letter): ord(letter.upper()) for letter in "abcdefghijklmnopqrstuvwxyz"}


def fold(text: str) -> str:
    """Take the case from A to Z and from nothing else, which is what every database can do alike."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def is_askable(text: str) -> bool:
    """Whether a database can be asked for this: not too long, no NUL, no lone surrogate."""
    return len(text) <= _MAX_TEXT_CHARS and not _UNASKABLE.search(text)


def run(run_id: str) -> str:
    """Name the topic of one run."""
    return f"{RUN_PREFIX}{run_id}"


def run_id_of(topic: str) -> str | None:
    """Return the run that a topic names, or None when it is not the topic of a run."""
    run_id = topic.removeprefix(RUN_PREFIX)
    return run_id if run_id and run_id != topic and is_askable(run_id) else None
