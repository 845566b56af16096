"""The addresses of the pages, for a project's `include("live.urls")`."""

from django.urls import path

from live import views

app_name = "live"

urlpatterns = [
    path("", views.runs, name="runs"),
    path("tell/<path:run_id>/", views.tell, name="tell"),
    # A caller may choose a task's id, so it may hold a slash.
    path("runs/<path:run_id>/", views.run, name="run"),
]
