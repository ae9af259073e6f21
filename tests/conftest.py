"""What every folder of tests may use."""

from __future__ import annotations

from contextlib import suppress

pytest_plugins = ["pytester"]

with suppress(ModuleNotFoundError):  # a golden run loads this too, where only the app is installed
    from hypothesis import HealthCheck, settings

    # How fast a busy machine draws, or builds its table of letters, says nothing of the code.
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
