"""`manage.py purge`: erase what retention says is due; for cron where `serve` does not run."""

from typing import Any

from django.core.management.base import BaseCommand

from assessment import retention


class Command(BaseCommand):
    help = "Erase expired media and records, old idempotency keys and leftovers of broken uploads."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(str(retention.purge()))
