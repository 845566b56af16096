"""The usual recipe, as tutorials write it: a `group_send` per signal, and a consumer that sends on what it is told."""

from typing import Any

from asgiref.sync import async_to_sync
from celery import signals
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer

GROUP = "tasks"


def tell(task_id: str, task: str, state: str) -> None:
    """Send one change of state to every page."""
    message = {"type": "task.update", "id": task_id, "task": task, "state": state}
    async_to_sync(get_channel_layer().group_send)(GROUP, message)


def note_received(request: Any = None, **kwargs: Any) -> None:
    """Called in the worker's main process."""
    tell(request.id, request.name, "received")


def note_prerun(task_id: str = "", task: Any = None, **kwargs: Any) -> None:
    """Called in the child, before the task."""
    tell(task_id, task.name, "running")


def note_success(sender: Any = None, **kwargs: Any) -> None:
    """Called in the child, after the task."""
    tell(sender.request.id, sender.name, "succeeded")


def note_failure(sender: Any = None, task_id: str = "", **kwargs: Any) -> None:
    """Called in the child or in the main process."""
    tell(task_id, sender.name, "failed")


def connect() -> None:
    """One send per state that `live` shows as well: received, running, succeeded or failed."""
    signals.task_received.connect(note_received)
    signals.task_prerun.connect(note_prerun)
    signals.task_success.connect(note_success)
    signals.task_failure.connect(note_failure)


class TaskConsumer(AsyncJsonWebsocketConsumer):
    """One page's socket."""

    async def connect(self) -> None:
        """Join the group and accept."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def task_update(self, event: dict[str, Any]) -> None:
        """Send one change on."""
        await self.send_json(event)
