"""The settings of baselines that rarely need changing."""

from __future__ import annotations

from ...contract import ForestJob
from ...panel.widgets.page import AdvancedGroup, Page
from .state import BASELINE_FIELDS


class BaselineOptions(AdvancedGroup):
    """The settings of a random forest and of the other baselines; `fields` are their controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.fields = self.add_fields(page, ForestJob, BASELINE_FIELDS)
