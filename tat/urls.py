"""The addresses of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from live.views import healthz

admin.site.site_header = admin.site.site_title = "tat"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="live:runs"), name="overview"),
    path("live/", include("live.urls")),
    path("billing/", include("billing.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
]
