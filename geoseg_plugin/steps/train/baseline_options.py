"""The settings of baselines that rarely need changing."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QLineEdit

from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup, Page


class BaselineOptions(AdvancedGroup):
    """The settings of a random forest and of the other baselines."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.trees = page.spin_box("forest_trees", 0, 5000, 0, tr("100"), tr(" trees"))
        self.add_choice(
            tr("Trees"), self.trees, tr("More are steadier and slower; the map is larger."), "baselines"
        )
        self.depth = page.spin_box("forest_depth", 0, 100, 0, tr("no limit"))
        self.add_choice(
            tr("Depth"), self.depth, tr("Limit it when few labels give a speckled map."), "baselines"
        )
        self.features = page.spin_box("forest_features", 0, 500, 0, tr("square root of all"))
        self.add_choice(tr("Features"), self.features, tr("So many are tried at each branch."), "baselines")
        self.search = page.tick("forest_search", tr("Search leaf size and features first"), True)
        self.add_choice(
            "", self.search, tr("Scored on validation ground; takes less time than the trees."), "baselines"
        )
        self.texture = page.remember("forest_texture", QLineEdit())
        self.texture.setPlaceholderText(tr("none; for example 3, 7, 15"))
        self.add_choice(
            tr("Texture"),
            self.texture,
            tr("Sides of windows in pixels whose mean and roughness the model also sees."),
            "baselines",
        )
        self.pixels = page.spin_box("forest_pixels", 100, 50_000_000, 200_000)
        self.add_choice(
            tr("Pixels"),
            self.pixels,
            tr("At most so many training pixels, evenly over the classes."),
            "baselines",
        )
        self.forest_seed = page.spin_box("forest_seed", 0, 2_000_000_000, 42)
        self.add_choice(
            tr("Seed"), self.forest_seed, tr("The same seed gives the same model."), "seed-and-resume"
        )
