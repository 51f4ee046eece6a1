"""`manage.py create_token USERNAME`: a new API token, printed once and stored only as a hash."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from assessment.management.prepared import PreparedDatabaseCommand
from assessment.models import ApiToken, AuditEntry


class Command(PreparedDatabaseCommand):
    help = "Print a new API token of a user, and nothing else. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--name", default="create_token", help="what the token is for, as the admin shows it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['username']}.")
        if not user.is_active:
            raise CommandError(
                f"The user {options['username']} is not active; a token would not be accepted."
            )
        token, secret = ApiToken.issue(user, options["name"][:100])
        AuditEntry.write("token_issued", f"user:{user.pk}", token=token.pk)
        self.stdout.write(secret)
