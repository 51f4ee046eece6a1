from django.apps import AppConfig


class RoomsConfig(AppConfig):
    name = "rooms"
    verbose_name = "Interview rooms"

    def ready(self) -> None:
        from rooms import erasing, jobs  # noqa: F401 - register what is erased with a candidate, and what is swept
        from rooms import logs

        logs.hide_links()
