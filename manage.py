#!/usr/bin/env python
"""Command-line entry point of the project."""

import os
import sys

from interviewsite import env, state


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "interviewsite.settings")
    env.read_dotenv(state.BASE_DIR / ".env")  # before the state: it may say where that lies
    state.prepare_state()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
