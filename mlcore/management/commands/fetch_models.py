"""Fetch the third-party model files, checked and with progress; what is there is skipped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlcore import assets
from mlcore.errors import AnalysisError

MEGABYTE = 1_000_000


class Command(BaseCommand):
    help = "Fetches third-party model files into var/models, each checked against its SHA-256."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--list", action="store_true", help="only tell what there is and where it comes from"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        models_dir = Path(settings.MODELS_DIR)
        if options["list"]:
            self.list(models_dir)
            return
        try:
            self.fetch(models_dir)
        except AnalysisError as error:
            raise CommandError(error.message) from error

    def list(self, models_dir: Path) -> None:
        for asset in assets.INVENTORY:
            state = "fetched" if not assets.verify(models_dir, asset) else "not fetched"
            self.stdout.write(f"{asset.name}  {asset.version}  {asset.licence}  {state}\n  {asset.purpose}")
            for file in asset.files:
                self.stdout.write(f"  {file.name}  {file.size_bytes} bytes  sha256 {file.sha256}")
                for source in file.sources:
                    self.stdout.write(f"    {source}")

    def fetch(self, models_dir: Path) -> None:
        model = settings.WHISPER_MODEL
        for asset in assets.INVENTORY:
            fetched = assets.fetch(models_dir, asset, self.progress())
            self.stderr.write(
                f"{asset.name}: {'fetched and checked' if fetched else 'there already, checked'}"
            )
        if model != "base":
            self.stderr.write(f"whisper-{model}: from the hub")
            assets.fetch_whisper(models_dir, model)

    def progress(self) -> assets.Progress:
        """A line at most twice a second: what, megabytes, percent."""
        last = 0.0

        def show(name: str, done: int, total: int) -> None:
            nonlocal last
            if done < total and time.monotonic() - last < 0.5:
                return
            last = time.monotonic()
            share = f" ({100 * done // total} %)" if total else ""
            end = "\n" if done >= total else "\r"
            self.stderr.write(
                f"  {name}: {done / MEGABYTE:.1f} of {total / MEGABYTE:.1f} MB{share}   ", ending=end
            )

        return show
