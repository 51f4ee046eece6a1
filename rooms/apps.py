from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "rooms"
    verbose_name = "Interview rooms"

    def ready(self) -> None:
        # Registers what is erased with a candidate, what is swept, and what follows when an account is deactivated.
        from rooms import erasing, jobs, logs, seats  # noqa: F401

        logs.hide_links()
