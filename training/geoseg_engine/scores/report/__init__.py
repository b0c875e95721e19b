"""One HTML file about a run, complete in itself; `page` puts it together."""

from .page import write_report

__all__ = ["write_report"]
