"""What a run can do, to look at: the page of a run, and traversals as picture files."""

from semistylegan.report.grids import save_traversal
from semistylegan.report.page import write_report

__all__ = ["save_traversal", "write_report"]
