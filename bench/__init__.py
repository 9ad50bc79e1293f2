"""The measured claims, each with the command that repeats it: `python -m bench` (docs/architecture, budgets)."""
