from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "rooms"
    verbose_name = "Interview rooms"

    def ready(self) -> None:
        # Registers what is erased with a candidate, and what is swept.
        from rooms import erasing, jobs, logs  # noqa: F401

        logs.hide_links()
