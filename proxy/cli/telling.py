"""What the operator is told: lines on standard output and standard error, JSON log lines, exit codes."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
import typer

from proxy.errors import Finding, ProxyError, UnusableError
from proxy.sandbox.model import FhirError

NOT_IN_ORDER = 1
NOT_BEGUN = 2


def say(line: str) -> None:
    """Write one line to standard output, at once."""
    typer.echo(line)


def complain(findings: Iterable[object]) -> None:
    """Write one line for each finding to standard error."""
    for finding in findings:
        typer.echo(str(finding), err=True)


@contextmanager
def refusing(code: int, place: str) -> Iterator[None]:
    """Turn every expected error into its lines and an exit code; `place` is the file or directory in question."""
    try:
        yield
    except UnusableError as error:
        complain(_placed(error.findings, place))
    except ProxyError as error:
        complain([Finding(place, 1, error.detail)])
    except FhirError as error:
        complain([Finding(place, 1, error.diagnostics)])
    except OSError as error:
        complain([Finding(str(error.filename or place), 1, _why(error))])
    else:
        return
    raise typer.Exit(code)


_NAMELESS = frozenset({"gateway.yaml", "key"})
"""What inner modules call the file whose name they do not know."""


def _placed(findings: Iterable[Finding], place: str) -> Iterator[Finding]:
    for one in findings:
        file = place if one.file in _NAMELESS else one.file
        yield Finding(file, max(one.line, 1), one.message)


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error).lower()


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def log_to_standard_error() -> None:
    """Log JSON lines. Of other libraries' messages only template and exception type: their arguments may be data."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_process,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["info"]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Foreign()], force=True)


def _with_process(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Several workers write to one stream."""
    return {**event, "process": os.getpid()}


class _Foreign(logging.Handler):
    """Log records of libraries as our log lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        log = structlog.get_logger(record.name)
        log.log(record.levelno, str(record.msg).splitlines()[0][:200], error=error)
