"""Commands that need the tables say so when there are none, in a sentence."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


class PreparedDatabaseCommand(BaseCommand):
    def execute(self, *args: Any, **options: Any) -> str | None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError(
                "The database is not prepared. Run `python manage.py migrate`, or `serve` once."
            )
        return super().execute(*args, **options)
