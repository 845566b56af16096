"""Billing's addresses, below /billing/."""

from django.urls import path

from billing import views

app_name = "billing"
urlpatterns = [
    path("imports/", views.imports, name="imports"),
    path("imports/<int:pk>/", views.show_import, name="import"),
    path("imports/<int:pk>/start/", views.start_import, name="import_start"),
]
