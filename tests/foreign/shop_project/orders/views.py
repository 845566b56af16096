from celery import chord
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse

from .tasks import add, error_prone, mul, upload_files, xsum


@login_required
def order(request):
    """Send one of each."""
    ids = {
        "add": add.delay(4, 4).id,
        "chain": (add.s(4, 4) | mul.s(8)).apply_async().id,
        "chord": chord([add.s(i, i) for i in range(3)], xsum.s()).apply_async().id,
        "countdown": add.apply_async((2, 2), countdown=1).id,
        "error_prone": error_prone.delay().id,
        "upload_files": upload_files.delay(["a", "b", "c"]).id,
    }
    return JsonResponse(ids)
