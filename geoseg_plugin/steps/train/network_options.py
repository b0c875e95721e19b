"""The settings of a network and its training that rarely need changing."""

from __future__ import annotations

from ...contract import TrainJob
from ...panel.widgets.page import AdvancedGroup, Page
from .state import NETWORK_FIELDS


class NetworkOptions(AdvancedGroup):
    """The settings of a training: network, loss and crops, optimizer, length, hardware; `fields` are their controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.fields = self.add_fields(page, TrainJob, NETWORK_FIELDS)
