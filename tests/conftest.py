"""Profiles of Hypothesis: `fast` for every run, `ci` and `deep` by `--hypothesis-profile`."""

from datetime import timedelta

from hypothesis import HealthCheck, settings

_QUIET = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile(
    "fast", max_examples=40, deadline=None, derandomize=True, suppress_health_check=_QUIET
)
settings.register_profile("ci", max_examples=200, deadline=None, suppress_health_check=_QUIET)
settings.register_profile(
    "deep", max_examples=3000, deadline=timedelta(seconds=60), suppress_health_check=_QUIET
)
settings.load_profile("fast")
