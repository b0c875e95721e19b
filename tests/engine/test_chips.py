"""Exported chips hold what the dataset holds, in the layouts that other programs read."""

import json
import re

import numpy as np
import pytest
import rasterio
from data_scenes import UTM, channel, one_band_each, pixel_box, sources_of, write_polygons, write_raster
from tile_scenes import labelled_scene, tile

from geoseg_engine.contract import IGNORE, SPLITS, ExportChipsJob, GeoSegError, Labels, RasterizeJob, StackJob
from geoseg_engine.dataset import chips
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.raster.grid import Window
from geoseg_engine.stacking import stack
from geoseg_engine.stacking.reader import open_stack

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def export(folder, **more):
    return chips.run(ExportChipsJob("dataset.json", **more), folder, channel(folder))


def eight_bit_scene(folder, bands):
    rng = np.random.default_rng(0)
    paths = [
        write_raster(folder / f"b{n}.tif", rng.integers(0, 256, (200, 240)).astype(np.uint8))
        for n in range(bands)
    ]
    sources = sources_of(*paths)
    stack.run(StackJob(sources, one_band_each(sources)), folder, channel(folder))
    boxes = [pixel_box(row, col, 9, 12) for row in range(5, 190, 30) for col in range(5, 220, 30)]
    source = Labels(str(write_polygons(folder / "l.gpkg", boxes)))
    labels.run(RasterizeJob("stack.tif", source), folder, channel(folder))


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(), raster


def test_pairs_of_float_values_are_geotiffs_with_their_place(tmp_path):
    labelled_scene(tmp_path)
    _, dataset, split, ids = tile(tmp_path, tile_px=32)
    result = export(tmp_path)
    assert result["format"] == "tif" and result["count"] == sum(result["chips_by_split"].values()) > 20
    seen = 0
    with open_stack(tmp_path / "stack.tif") as reader:
        for name in SPLITS:
            images = sorted((tmp_path / "chips" / "images" / name).iterdir())
            masks = sorted((tmp_path / "chips" / "masks" / name).iterdir())
            assert [path.name for path in images] == [path.name for path in masks]
            assert len(images) == result["chips_by_split"][name]
            for image, mask in zip(images, masks, strict=True):
                row, col = (int(number) for number in re.findall(r"\d+", image.stem))
                part = np.s_[row : row + 32, col : col + 32]
                values, raster = read(image)
                np.testing.assert_array_equal(values, reader.read(Window(row, col, 32, 32)))
                assert raster.transform.c == 600_000 + col * 10 and raster.crs == UTM
                found, raster = read(mask)
                wanted = np.where(split[part] == SPLITS.index(name), ids[part], IGNORE)
                np.testing.assert_array_equal(found[0], wanted)
                assert raster.nodata == IGNORE and raster.dtypes == ("uint8",)
                seen += 1
    assert seen == result["count"] == result["verified"]
    facts = json.loads((tmp_path / "chips" / "chips.json").read_text(encoding="utf-8"))
    assert facts["chips"] == seen and [item["name"] for item in facts["classes"]] == [
        item.name for item in dataset.classes
    ]


@pytest.mark.parametrize(("bands", "expected"), [(1, "png"), (2, "tif"), (3, "png"), (4, "png"), (5, "tif")])
def test_eight_bit_chips_are_png_where_png_can_hold_them(tmp_path, bands, expected):
    eight_bit_scene(tmp_path, bands)
    tile(tmp_path, tile_px=32)
    result = export(tmp_path, splits=("train",))
    assert result["format"] == expected and set(result["chips_by_split"]) == {"train"}
    files = [path for path in (tmp_path / "chips").rglob("*.*") if path.name != "chips.json"]
    assert {path.suffix for path in files} == {f".{expected}"} and len(files) == 2 * result["count"]
    with open_stack(tmp_path / "stack.tif") as reader:
        image = sorted((tmp_path / "chips" / "images" / "train").iterdir())[0]
        row, col = (int(number) for number in re.findall(r"\d+", image.stem))
        values, raster = read(image)
        np.testing.assert_array_equal(values, reader.read(Window(row, col, 32, 32)))
        assert set(raster.dtypes) == {"uint8"}


def test_png_of_values_that_it_cannot_hold_is_refused(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path)
    for layout, code in (("pairs", "not_eight_bit"), ("arcgis", "no_such_format")):
        with pytest.raises(GeoSegError) as caught:
            export(tmp_path, image_format="png", layout=layout)
        assert caught.value.code == code and not (tmp_path / "chips").exists()


def test_arcgis_layout(tmp_path):
    labelled_scene(tmp_path, unlabelled="background")
    _, dataset, _, _ = tile(tmp_path, tile_px=64)
    result = export(tmp_path, layout="arcgis")
    folder, count = tmp_path / "chips", result["count"]
    names = [f"{number:012d}.tif" for number in range(count)]
    assert sorted(path.name for path in (folder / "images").iterdir()) == names
    assert sorted(path.name for path in (folder / "labels").iterdir()) == names
    lines = (folder / "map.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"images/{name} labels/{name}" for name in names]
    accumulated = json.loads((folder / "esri_accumulated_stats.json").read_text(encoding="utf-8"))
    definition = json.loads((folder / "esri_model_definition.emd").read_text(encoding="utf-8"))
    assert accumulated["MetaDataMode"] == definition["MetaDataMode"] == "Classified_Tiles"
    assert accumulated["NumTiles"] == count and accumulated["TileSizeX"] == definition["ImageWidth"] == 64
    assert [item["Value"] for item in definition["Classes"]] == [1, 2, 3]
    assert [item["Name"] for item in definition["Classes"]] == [item.name for item in dataset.classes]
    masks = np.stack([read(folder / "labels" / name)[0][0] for name in names])
    images = np.stack([read(folder / "images" / name)[0][0] for name in names]).astype(float)
    assert accumulated["ClassPixelStats"]["NumPixelsPerClass"] == [
        int((masks == value).sum()) for value in (1, 2, 3)
    ]
    stats = definition["AllTilesStats"][0]
    assert stats["Mean"] == pytest.approx(images.mean()) and stats["StdDev"] == pytest.approx(images.std())
    assert (stats["Min"], stats["Max"]) == (images.min(), images.max())
    assert f"images = {count} *1*64*64" in (folder / "stats.txt").read_text(encoding="utf-8")


def test_a_raster_smaller_than_a_tile_is_padded_with_nothing(tmp_path):
    name = labelled_scene(tmp_path, 40, 50, written=False)
    tile(tmp_path, name)
    result = export(tmp_path)
    assert result["count"] == 1
    mask, _ = read(next((tmp_path / "chips" / "masks").rglob("*.tif")))
    image, _ = read(next((tmp_path / "chips" / "images").rglob("*.tif")))
    assert mask.shape == image.shape == (1, 64, 64)
    assert (mask[0, 40:] == IGNORE).all() and np.isnan(image[0, :, 50:]).all()


def test_a_folder_with_files_is_left_alone_and_an_empty_one_is_taken(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path)
    (tmp_path / "chips").mkdir()
    assert export(tmp_path)["count"] > 0
    before = sorted(path.name for path in (tmp_path / "chips").rglob("*"))
    with pytest.raises(GeoSegError) as caught:
        export(tmp_path, layout="arcgis")
    assert caught.value.code == "not_empty"
    assert sorted(path.name for path in (tmp_path / "chips").rglob("*")) == before


def test_a_chip_that_reads_back_differently_stops_the_export(tmp_path, monkeypatch):
    labelled_scene(tmp_path)
    tile(tmp_path)
    monkeypatch.setattr(chips.np, "array_equal", lambda *_, **__: False)
    with pytest.raises(GeoSegError) as caught:
        export(tmp_path)
    assert caught.value.code == "chip_differs"
    assert not (tmp_path / "chips").exists() and not (tmp_path / "chips.part").exists()


def test_a_dataset_without_tiles_of_a_split_is_told(tmp_path):
    labelled_scene(tmp_path)
    tile(tmp_path, fractions=(1.0, 0.0, 0.0))
    with pytest.raises(GeoSegError) as caught:
        export(tmp_path, splits=("test",))
    assert caught.value.code == "no_tiles"
