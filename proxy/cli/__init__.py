"""The command line: serve, demo, sandbox, token, check, schema, explain, lint, audit.

Laws
1. A user's mistake is one line for each finding on standard error, never a traceback.
2. Standard output carries only what was asked for; what is logged goes to standard error.
3. Exit codes: 0 done; 1 what was examined is not in order; 2 it could not be begun.
"""

from proxy.cli.commands import main

__all__ = ["main"]
