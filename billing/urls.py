"""Billing's addresses, below /billing/."""

from django.urls import path

from billing.views import imports

app_name = "billing"
urlpatterns = [
    path("imports/", imports.imports, name="imports"),
    path("imports/<int:pk>/", imports.show_import, name="import"),
    path("imports/<int:pk>/start/", imports.start_import, name="import_start"),
]
