"""`manage.py work`: one worker process; `serve` starts these, other machines run them beside a REDIS_URL."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    requires_system_checks = ()  # they import every page and the analysis with it, which takes seconds
    help = "Take jobs from the queue and process them, one after another, until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--lazy", action="store_true", help="load models with the first job, not at the start"
        )
        parser.add_argument(
            "--dies-with-parent",
            action="store_true",
            help="end when the process that started this one is gone",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from interviewsite.serving.worker import WorkLoop
        from mlcore.native_logs import native_chatter_dropped

        with native_chatter_dropped():
            WorkLoop(lazy=options["lazy"], dies_with_parent=options["dies_with_parent"]).run()
