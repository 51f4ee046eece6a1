"""`manage.py sweep`: bring back stalled and lost work; for cron where `serve` does not run."""

from typing import Any

from assessment import jobs
from assessment.management.prepared import PreparedDatabaseCommand


class Command(PreparedDatabaseCommand):
    help = "Requeue stalled work, enqueue what the queue lost, finalize what was left unfinished."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(str(jobs.sweep()))
