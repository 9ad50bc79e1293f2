"""Profiles of Hypothesis: `fast` for every run, `ci`, `deep` and `mutants` by `--hypothesis-profile`."""

from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings

_QUIET = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile(
    "fast", max_examples=40, deadline=None, derandomize=True, suppress_health_check=_QUIET
)
settings.register_profile("ci", max_examples=200, deadline=None, suppress_health_check=_QUIET)
settings.register_profile(
    "deep", max_examples=3000, deadline=timedelta(seconds=60), suppress_health_check=_QUIET
)
settings.register_profile(  # that a mutant dies is enough, how is not asked
    "mutants",
    settings.get_profile("fast"),
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("fast")
