"""`manage.py purge`: erase what retention says is due; for cron where `serve` does not run."""

from typing import Any

from assessment import retention
from assessment.management.prepared import PreparedDatabaseCommand


class Command(PreparedDatabaseCommand):
    help = "Erase expired media and records, old idempotency keys and leftovers of broken uploads."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(str(retention.purge()))
