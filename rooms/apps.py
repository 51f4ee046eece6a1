from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "rooms"
    verbose_name = "Interview rooms"

    def ready(self) -> None:
        from rooms import erasing  # noqa: F401 - registers what is erased with a candidate
