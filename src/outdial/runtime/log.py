"""Logging: one event a line on stderr, as JSON or for people, and never a phone number.

Lines of other libraries (the standard library's `logging`; run uvicorn with `log_config=None`) take the same way out.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor, WrappedLogger

Event = MutableMapping[str, Any]

# `+` and three digits or more, also written with separators, or in a URL (%2B); not the `+` of 1e+100
_NUMBER = re.compile(r"(?<![0-9][eE])(?:\+|%2[bB])[0-9](?:[ ().-]{0,2}[0-9]){2,}")
# what a number is called where it may come without a plus
_NAMED = frozenset({"number", "phone", "phone_number", "caller", "callee", "to", "to_number", "from_number"})


def get_logger() -> FilteringBoundLogger:
    """The logger; event in the past tense, ids as fields: `log.info("call settled", call=key, outcome=o)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def configure(*, style: str = "console", level: str = "info") -> None:
    """Set logging up for this process; style is `json` or `console`. May be called again."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="t"),
        mask_named,
    ]
    render = renderers(style)
    structlog.configure(
        processors=[*before, *render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_stderr_logger,
        cache_logger_on_first_use=False,
    )
    ours = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=[ours, *render]))
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.INFO), force=True)


def renderers(style: str) -> list[Processor]:
    """The last processors: from fields to one masked line."""
    if style == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False, default=str),
            cast("Processor", mask_line),
        ]
    if style == "console":
        colours = sys.stderr.isatty()
        # a traceback stands under its line: this style is for people
        return [
            structlog.processors.format_exc_info,
            on_one_line,
            structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="t"),
            cast("Processor", mask_line),
        ]
    msg = f"a log is written as json or console, not as {style!r}"
    raise ValueError(msg)


def mask(text: str) -> str:
    """The text with every phone number cut to its last two digits: `+4930123456` becomes `**56`."""
    return _NUMBER.sub(lambda found: f"**{found[0][-2:]}", text)


def mask_named(_logger: WrappedLogger, _method: str, event: Event) -> Event:
    """A field that is called a number is masked even without its plus."""
    for name in _NAMED & event.keys():
        digits = re.sub(r"\D", "", str(event[name]))
        if len(digits) >= 3:
            event[name] = f"**{digits[-2:]}"
    return event


def mask_line(_logger: WrappedLogger, _method: str, line: str) -> str:
    """The finished line, masked as a whole: so nothing slips through in a traceback or in some object's repr."""
    return mask(line)


def on_one_line(_logger: WrappedLogger, _method: str, event: Event) -> Event:
    """Words from outside can't begin a line of their own."""
    for name, value in event.items():
        if name != "exception" and isinstance(value, str) and ("\n" in value or "\r" in value):
            event[name] = value.replace("\r", "\\r").replace("\n", "\\n")
    return event


def _stderr_logger(*_args: object) -> structlog.WriteLogger:
    return structlog.WriteLogger(sys.stderr)
