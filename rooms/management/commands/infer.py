"""`manage.py infer`: the process that looks at frames and listens to speech of live rooms; `serve` starts it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

logger = logging.getLogger(__name__)

SWITCH_S = 0.001
"""Python's own is 5 ms, and a face goes back to the interpreter some eighty times. *Assumption*."""


class Command(BaseCommand):
    requires_system_checks = ()  # as for `work`
    help = "Analyse the frames and the speech of live rooms for the web server, until told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dies-with-parent",
            action="store_true",
            help="end when the process that started this one is gone",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from mlcore.native_logs import native_chatter_dropped
        from rooms.inference.server import CannotListen, Loader, owned_socket

        # Faces and clips are looked at in two threads; the one that waits for the interpreter gets it sooner.
        sys.setswitchinterval(SWITCH_S)
        path, loader = Path(settings.INFERENCE_SOCKET), Loader(_load)
        try:
            with owned_socket(path) as listener, native_chatter_dropped():
                loader.start()
                asyncio.run(_serve(loader, listener, options["dies_with_parent"]))
        except CannotListen as error:
            raise CommandError(str(error)) from error
        if loader.busy:  # native code that is being loaded takes seconds, and must not be torn down half-way
            logging.shutdown()
            os._exit(0)


def _load() -> Any:
    from rooms.inference.engine import Engine

    return Engine.load(Path(settings.MODELS_DIR), Path(settings.STRESS_WEIGHTS_DIR))


async def _serve(loader: Any, listener: Any, dies_with_parent: bool) -> None:
    from rooms.inference.server import InferenceServer, watch_parent

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watching = asyncio.create_task(watch_parent(stop)) if dies_with_parent else None
    logger.info("Live analysis listens at %s.", settings.INFERENCE_SOCKET)
    await InferenceServer(loader).serve(listener, stop)
    if watching:
        watching.cancel()
