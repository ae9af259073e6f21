"""`python -m reference_app.variants.autorag` runs the trial where there is none, and prints its folder."""

from reference_app.variants.autorag import run_trial

print(run_trial())  # noqa: T201
