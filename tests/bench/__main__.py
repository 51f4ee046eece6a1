"""All benchmarks, each in a process of its own; prints a table and writes docs/benchmarks/<date>.md and .json.

``python -m tests.bench [pipeline faces stress uploads pages cold_start live]``; `make bench` runs all.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "benchmarks"
BENCHMARKS: dict[str, list[str]] = {
    "pipeline": [],
    "faces": [],
    "stress": [],
    "uploads": ["--servers", "uvicorn"],
    "pages": [],
    "cold_start": [],
    "live": ["--rooms", "40", "80", "--seconds", "40"],
}


def machine() -> dict[str, Any]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "load_before": [round(load, 1) for load in os.getloadavg()],
    }


def run(name: str) -> Any:
    command = [sys.executable, "-m", f"tests.bench.{name}", *BENCHMARKS[name]]
    _say(f"{name}: {' '.join(command[1:])}\n")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def rows(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured against its budget: (what, measured, budget)."""
    table = []
    if pipeline := results.get("pipeline"):
        warm, first = pipeline["real_time_factor_warm"], pipeline["real_time_factor_first"]
        table += [
            (
                "recorded pipeline, warm, × real time",
                f"{warm:.3f}",
                f"≤ {pipeline['budget']}, goal {pipeline['goal']}",
            ),
            ("recorded pipeline, first answer", f"{first:.3f}", "models loaded"),
            ("analysed frames a second", f"{pipeline['analysed_frames_per_s']}", "≥ 15"),
            (
                "peak memory of the worker, MB",
                f"{pipeline['peak_memory_mb']}",
                f"≤ {pipeline['peak_memory_budget_mb']}",
            ),
        ]
    if faces := results.get("faces"):
        table.append(("face stage ÷ bare landmarker", f"{faces['ratio']}", f"≤ {faces['budget']}"))
    if stress := results.get("stress"):
        for name, what in (
            ("face_of_16", "stress, one face of 16, one core"),
            ("voice_window", "stress, 3 s of voice, one core"),
        ):
            first, goal = stress["budgets"][name]
            table.append((what, f"{stress[name]['ms']} ms", f"≤ {first:g} ms, goal {goal:g}"))
    for upload in results.get("uploads", {}).get("uploads", []):
        seconds, growth = upload["answer_s"], upload["growth_mb"]
        budget = "≤ 1 s" if upload["megabytes"] <= 100 else "≤ 5 s"
        table.append((f"upload {upload['megabytes']} MB, last byte to answer", f"{seconds} s", budget))
        table.append((f"upload {upload['megabytes']} MB, growth of the server", f"{growth} MB", "< 64 MB"))
    if pages := results.get("pages"):
        table.append(("slowest page, p95", f"{pages['worst_p95_ms']} ms", f"≤ {pages['budget_ms']} ms"))
        table.append(
            ("queries of the heaviest page", f"{pages['most_queries']}", f"≤ {pages['budget_queries']}")
        )
    if start := results.get("cold_start"):
        table.append(
            ("serve to /health, empty state", f"{start['empty_state_s']} s", f"≤ {start['budget_s']:g} s")
        )
        table.append(
            (
                "serve to /health, database there",
                f"{start['database_there_s']} s",
                f"≤ {start['budget_s']:g} s",
            )
        )
        table.append(("Ctrl-C to the end", f"{start['stop_s']} s", f"≤ {start['stop_budget_s']:g} s"))
    for live in results.get("live", {}).get("live", []):
        table += _live_rows(live)
    return table


def _live_rows(live: dict[str, Any]) -> list[tuple[str, str, str]]:
    rooms, processes = live["rooms"], live["processes"]
    latency = f"{live['p50_ms']} / {live['p95_ms']} / {live['p99_ms']} ms"
    budget = f"p95 ≤ {live['budget_ms']:g} ms" if rooms <= 40 else "the goal"
    rows = [
        (f"live, {rooms} rooms, frame in to result out, p50 / p95 / p99", latency, budget),
        (
            f"live, {rooms} rooms, results for frames sent; dropped",
            f"{live['results_of_frames']}; {live['dropped']}",
            "–",
        ),
    ]
    for name, one in processes.items():
        used = f"{one['cpu_cores']} cores, {one['rss_mb_highest']} MB"
        rows.append((f"live, {rooms} rooms, {name} process", used, "–"))
    return rows


def report(host: dict[str, Any], results: dict[str, Any], names: list[str]) -> str:
    lines = [
        f"# Benchmarks of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{host['cpu']}, {host['cores']} cores, {host['memory_gb']} GB, Python {host['python']}; load before: "
        f"{host['load_before'][0]}. Command: `python -m tests.bench {' '.join(names)}`.",
        "",
        "| what | measured | budget |",
        "|---|---|---|",
        *(f"| {what} | {measured} | {budget} |" for what, measured, budget in rows(results)),
        "",
    ]
    if pipeline := results.get("pipeline"):
        stages = [key for key in pipeline["runs"][0] if key.endswith("_s")]
        lines += [f"Recorded pipeline on {pipeline['video']}.", "", f"| run | {' | '.join(stages)} | CPU s |"]
        lines.append("|---" * (len(stages) + 2) + "|")
        for number, (one, cpu) in enumerate(zip(pipeline["runs"], pipeline["cpu_s"], strict=True), start=1):
            cells = " | ".join("–" if one[key] is None else f"{one[key]:.2f}" for key in stages)
            lines.append(f"| {number} | {cells} | {cpu} |")
        lines.append("")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stderr.write(text)


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    host = machine()
    results = {name: run(name) for name in names}
    text = report(host, results, names)
    FOLDER.mkdir(parents=True, exist_ok=True)
    stem = FOLDER / f"{datetime.now(UTC):%Y-%m-%d}-{'-'.join(names) if sys.argv[1:] else 'all'}"
    stem.with_suffix(".md").write_text(text)
    stem.with_suffix(".json").write_text(json.dumps({"machine": host, "results": results}, indent=1) + "\n")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
