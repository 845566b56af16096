"""The addresses of the pages, for a project's `include("live.urls")`."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from live import views

app_name = "live"


class RunId(StringConverter):
    """Any text at all: a caller may choose a task's id, so it may hold a slash, or the end of a line."""

    regex = r"[\s\S]+"


register_converter(RunId, "live_run_id")

urlpatterns = [
    path("", views.runs, name="runs"),
    path("tell/<live_run_id:run_id>/", views.tell, name="tell"),
    path("runs/<live_run_id:run_id>/", views.run, name="run"),
]
