"""`manage.py serve`: the whole site on this machine, until Ctrl-C."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    requires_system_checks = ()  # they import every page and the analysis with it, which takes seconds
    help = "Start queue, web server and workers, keep them running, and stop them all on Ctrl-C or SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1, help="worker processes (default 1)")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def handle(self, *args: Any, **options: Any) -> None:
        from interviewsite.serving.site import CannotServe, Options, Site

        if not 0 < options["port"] < 65536:
            raise CommandError("--port must be between 1 and 65535.")
        if options["workers"] < 0:
            raise CommandError("--workers must not be negative.")
        try:
            Site(Options(options["host"], options["port"], options["workers"]), self._say).serve()
        except CannotServe as error:
            raise CommandError(str(error)) from error
