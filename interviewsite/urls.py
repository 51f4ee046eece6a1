"""All addresses of the site."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from interviewsite import sign_in
from interviewsite.api import api

urlpatterns = [
    path("admin/queue/", include("django_rq.urls")),
    path("admin/login/", sign_in.counted(admin.site.login)),
    path("admin/", admin.site.urls),
    path(
        "login/",
        sign_in.counted(auth.LoginView.as_view(template_name="login.html", redirect_authenticated_user=True)),
        name="login",
    ),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("assessment.urls")),
    path("", include("rooms.urls")),
    path("", api.urls),
]
