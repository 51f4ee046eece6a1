from django.apps import AppConfig


class InterviewsiteConfig(AppConfig):
    name = "interviewsite"
