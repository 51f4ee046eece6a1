"""For all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# A machine that stalls for a second is no slow test, and the same examples come each time: whether a commit passes is
# not a matter of luck. `--hypothesis-profile=default` looks further.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

TRIES_AGAIN = int(os.environ.get("RERUNS", "1"))
"""How often a slow test that failed is run again. What passes then is no success: it is printed like a failure, and is
a race in the test or in what it tests. `make test RERUNS=0` fails at once."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Real browsers, servers and workers on a machine with two cores: one lost race does not stop a change."""
    if not TRIES_AGAIN or not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=TRIES_AGAIN))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"failed, and was run again: {report.nodeid}", red=True)
        terminalreporter.line(report.longreprtext)
