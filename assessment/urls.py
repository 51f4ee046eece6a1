"""The pages."""

from django.urls import path

from assessment import views

urlpatterns = [
    path("", views.assessments, name="assessments"),
    path("assessments/new/", views.HandInView.as_view(), name="hand_in"),
    path("assessments/<slug:session_id>/", views.assessment, name="assessment"),
    path("assessments/<slug:session_id>/review/", views.ReviewView.as_view(), name="review"),
]
