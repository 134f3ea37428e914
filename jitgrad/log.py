"""Messages of programs: MindSpore's `log`, over the logger "jitgrad" of Python's `logging`."""

from __future__ import annotations

import logging

_logger = logging.getLogger("jitgrad")
debug, info, warning = _logger.debug, _logger.info, _logger.warning
error, critical = _logger.error, _logger.critical

__all__ = ["critical", "debug", "error", "info", "warning"]
