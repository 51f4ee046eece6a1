"""For all tests."""

from __future__ import annotations

import os

import pytest
import pytest_timeout
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

HUNG = r"^Failed: Timeout \("
"""What pytest-timeout says. Tests with a long limit of their own are not run again where it ran out: twice that long
would leave nothing of the time that the whole suite has."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Real browsers, servers and workers on a machine with two cores: one lost race does not stop a change."""
    if not TRIES_AGAIN or not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            patient = item.get_closest_marker("timeout") is not None
            item.add_marker(pytest.mark.flaky(reruns=TRIES_AGAIN, rerun_except=HUNG if patient else None))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """pytest-timeout sets its limit once for all runs of a test, and drops it at the first failure: the next run gets
    one of its own, or a test that hangs then would never end."""
    if getattr(item, "execution_count", 1) > 1:
        settings = pytest_timeout._get_item_settings(item)
        if settings.timeout:
            item.ihook.pytest_timeout_set_timer(item=item, settings=settings)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"failed, and was run again: {report.nodeid}", red=True)
        terminalreporter.line(report.longreprtext)
