# Create your tasks here

import time

from celery import shared_task


@shared_task
def add(x, y):
    return x + y


@shared_task
def mul(x, y):
    return x * y


@shared_task
def xsum(numbers):
    return sum(numbers)


@shared_task(bind=True)
def upload_files(self, filenames):
    for i, _file in enumerate(filenames):
        if not self.request.called_directly:
            self.update_state(state="PROGRESS", meta={"current": i, "total": len(filenames)})
        time.sleep(0.3)
    return len(filenames)


@shared_task
def error_prone():
    raise KeyError("no such order")
