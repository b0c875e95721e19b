"""Rows of the panel from declared fields: types, ranges, automatic values; and pages whose defaults are the job's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from geoseg_plugin.contract import Param, PredictJob, SampleJob, TileJob, TrainJob
from geoseg_plugin.forms.fields import MAX_WHOLE, grouped, stored_fields
from geoseg_plugin.forms.rows import row_of
from geoseg_plugin.panel.widgets.page import AdvancedGroup, Page
from geoseg_plugin.steps.predict.page import PredictPage
from geoseg_plugin.steps.results.state import SampleDesign
from geoseg_plugin.steps.split.page import SplitPage
from geoseg_plugin.steps.train.page import TrainPage


@dataclass(frozen=True)
class Settings:
    """Fields of every kind."""

    count: Annotated[int, Param("Count", "How many.", "px", low=2, high=9, step=2, group="A")] = 4
    limit: Annotated[int | None, Param("Limit", low=0, auto="automatic", group="A")] = None
    share: Annotated[float | None, Param("Share", low=0, high=1, step=0.1, auto="automatic", group="B")] = (
        None
    )
    part: Annotated[float, Param("Part", low=0, high=1, step=0.05, group="B")] = 0.2
    large: Annotated[int, Param("Large", low=0, high=2**32 - 1, group="B")] = 42
    kind: Annotated[Literal["a", "b"], Param("Kind", labels={"b": "B!"}, group="B")] = "b"
    on: Annotated[bool, Param("On", row="switch", group="B")] = True
    corners: Annotated[Literal[4, 8], Param("Corners", group="B")] = 4
    sizes: Annotated[tuple[int, ...], Param("Sizes", auto="none", group="B")] = ()
    ticked: Annotated[
        tuple[str, ...],
        Param("Ticked", labels={"x": "X"}, options=("auto", "none", "x"), several=True, group="B"),
    ] = ("auto",)


def test_every_field_with_a_group_gets_a_row_and_is_read_back(qgis_app: Any) -> None:
    page = Page("a", "b")
    names = grouped(Settings)
    fields = AdvancedGroup(page).add_fields(page, Settings, names, percent=("part",))
    assert list(fields) == names
    assert Settings(**stored_fields(Settings, names, page.values(), ("part",))) == Settings()
    assert page.values() == {
        **{"count": 4, "limit": -1, "share": pytest.approx(-0.1), "part": 20, "large": 42, "kind": "b"},
        **{"switch": True, "corners": False, "sizes": "", "ticked": ["auto"]},
    }
    page.restore({"limit": 3, "share": 0.5, "part": 5, "corners": True, "sizes": "3, 5", "ticked": ["x"]})
    found = Settings(**stored_fields(Settings, names, page.values(), ("part",)))
    assert (found.limit, found.share, found.part, found.corners) == (3, 0.5, 0.05, 8)
    assert (found.sizes, found.ticked) == ((3, 5), ("x",))


def test_boxes_have_range_step_unit_and_automatic_value(qgis_app: Any) -> None:
    count, limit = row_of(Settings, "count"), row_of(Settings, "limit")
    box: Any = count.control
    assert (box.minimum(), box.maximum(), box.singleStep(), box.suffix()) == (2, 9, 2, " px")
    assert (count.title, count.about, box.specialValueText()) == ("Count", "How many.", "")
    automatic: Any = limit.control
    assert automatic.text() == "automatic" and automatic.maximum() == MAX_WHOLE
    part: Any = row_of(Settings, "part", percent=True).control
    assert part.text() == "20 %" and part.maximum() == 100
    kind: Any = row_of(Settings, "kind").control
    assert [kind.itemText(place) for place in range(kind.count())] == ["a", "B!"]
    assert row_of(Settings, "on").title == "", "a tick box shows its own title"


def test_pages_open_with_the_defaults_of_their_jobs(desk: Any, tmp_path: Path) -> None:
    assert TrainPage().choices().job(Path("d")) == TrainJob("d")
    choices = PredictPage().choices()
    assert PredictJob("m", **choices.settings) == PredictJob("m")
    (tmp_path / "stack.tif").touch()
    job: Any = SplitPage().choices().submission(tmp_path).job
    assert job == TileJob(job.stack, job.labels, output=job.output)
    design = desk.pages.results.map.design()
    assert design == SampleDesign() and SampleJob("c", **design.settings()) == SampleJob("c")
