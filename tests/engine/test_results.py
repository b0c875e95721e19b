"""A result never replaces an input, and its name says what it is."""

from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from data_scenes import hills, one_band_each, pixel_box, sources_of, write_polygons, write_raster
from tile_scenes import labelled_scene

from geoseg_engine import run
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    Area,
    AreasJob,
    CheckJob,
    CleanJob,
    CrossValidateJob,
    EvaluateJob,
    GeoSegError,
    Job,
    Labels,
    PolygonizeJob,
    PredictJob,
    RasterizeJob,
    SampleJob,
    SearchJob,
    Source,
    StackJob,
    TerrainJob,
    TileJob,
    TrainJob,
)
from geoseg_engine.output_checks import tables_in
from geoseg_engine.stacking.recipes import recipe_of_raster, write_recipe


def stack_job(*paths: Path, output: str) -> StackJob:
    sources = sources_of(*paths)
    return StackJob(sources, one_band_each(sources), output=output)


def overwriting(folder: Path) -> dict[str, Job]:
    """One job for each way in which a result could take the place of an input."""
    image = str(write_raster(folder / "image.tif", hills(40, 50)))
    dem = write_raster(folder / "dem.tif", hills(40, 50))
    slides = str(write_polygons(folder / "slides.gpkg", [pixel_box(4, 4, 20, 20)]))
    write_recipe(recipe_of_raster(Path(image)), folder / "made.recipe.json")
    (folder / "link.tif").symlink_to(image)
    rasterio.shutil.copy(image, folder / "image.vrt", driver="VRT")
    (folder / "slides.tif").write_bytes(Path(slides).read_bytes())
    (folder / "out").mkdir()
    (folder / "out" / "tiles.gpkg").write_bytes(Path(slides).read_bytes())
    for place, target in (
        ("judged/errors.tif", image),
        ("judged/areas.csv", slides),
        ("run/model.onnx", slides),
    ):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).symlink_to(target)
    labels = Labels(slides)
    return {
        "stack": stack_job(Path(image), dem, output=image),
        "stack_relative": stack_job(Path(image), dem, output="image.tif"),
        "stack_link": stack_job(Path(image), output="link.tif"),
        "terrain": TerrainJob(Source("dem", str(dem)), output="dem.tif"),
        "rasterize_stack": RasterizeJob(image, labels, output=image),
        "rasterize_recipe": RasterizeJob("made.recipe.json", labels, output="image.tif"),
        "rasterize_labels": RasterizeJob(image, Labels("slides.tif"), output="slides.tif"),
        "rasterize_area": RasterizeJob(image, labels, Area("polygons", "slides.tif"), output="slides.tif"),
        "check": CheckJob(sources_of(dem), labels, output=slides),
        "findings": CheckJob(sources_of(dem), labels, findings=slides),
        "tile": TileJob(image, "labels.tif", area=Area("polygons", "out/tiles.gpkg"), output="out"),
        "predict": PredictJob("model.onnx", (Source("r", f"GTIFF_DIR:1:{image}"),), confidence=image),
        "polygonize": PolygonizeJob(image, confidence=slides, output=slides),
        "clean": CleanJob(image, output="link.tif"),
        "clean_vrt": CleanJob("image.vrt", output="image.tif"),
        "areas": AreasJob(image, "judged/areas.csv", output="judged"),
        "evaluate": EvaluateJob("d", prediction=image, output="judged"),
        "train": TrainJob("d", start_from="run/model.onnx", output="run"),
        "crossvalidate": CrossValidateJob(TrainJob("d", start_from="run/model.onnx"), output="run"),
        "search": SearchJob(TrainJob("d", start_from=str(folder / "run" / "model.onnx")), output="run"),
    }


KINDS = ("stack", "stack_relative", "stack_link", "terrain", "rasterize_stack", "rasterize_recipe",
         "rasterize_labels", "rasterize_area", "tile", "check", "findings", "predict", "polygonize", "evaluate",
         "train", "crossvalidate", "search", "clean", "clean_vrt", "areas")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_is_never_overwritten(kind, tmp_path):
    job = overwriting(tmp_path)[kind]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(GeoSegError) as caught:
        run.work(job, tmp_path, Channel(tmp_path))
    assert caught.value.code == "would_overwrite" and "another name" in caught.value.hint
    assert any(
        name in caught.value.message
        for name in (
            "image.tif",
            "dem.tif",
            "link.tif",
            "slides.",
            "tiles.",
            "errors.tif",
            "model.onnx",
            "areas.csv",
        )
    )
    assert {path: path.read_bytes() for path in before} == before


def test_polygons_are_not_written_over_by_a_raster(tmp_path):
    """The name alone would have told; the polygons stay."""
    slides = write_polygons(tmp_path / "slides.gpkg", [pixel_box(4, 4, 20, 20)])
    image = write_raster(tmp_path / "image.tif", hills(40, 50))
    before = slides.read_bytes()
    with pytest.raises(GeoSegError):
        run.work(
            RasterizeJob(str(image), Labels(str(slides)), output=str(slides)), tmp_path, Channel(tmp_path)
        )
    assert slides.read_bytes() == before


@pytest.mark.parametrize(
    ("job", "name", "suffix"),
    [
        (lambda image: stack_job(image, output="stack.png"), "stack.png", ".recipe.json"),
        (lambda image: TerrainJob(Source("dem", str(image)), output="slope"), "slope", ".tif"),
        (lambda image: PredictJob("m.onnx", polygons="slides.shp"), "slides.shp", ".gpkg"),
        (lambda image: PredictJob("m.onnx", entropy="e.recipe.json"), "e.recipe.json", ".tif"),
        (lambda image: PolygonizeJob(str(image), output="slides.geojson"), "slides.geojson", ".gpkg"),
        (lambda image: CleanJob(str(image), output="cleaned.png"), "cleaned.png", ".tif"),
        (lambda image: SampleJob(str(image), output="sample.shp"), "sample.shp", ".gpkg"),
    ],
)
def test_a_name_that_does_not_fit(job, name, suffix, tmp_path):
    image = write_raster(tmp_path / "image.tif", hills(40, 50))
    with pytest.raises(GeoSegError) as caught:
        run.work(job(image), tmp_path, Channel(tmp_path))
    assert caught.value.code == "bad_name" and name in caught.value.message and suffix in caught.value.hint


def test_what_exists_and_is_not_read_is_replaced(tmp_path):
    image = write_raster(tmp_path / "image.tif", hills(40, 50))
    (tmp_path / "stack.TIF").write_text("older", encoding="utf-8")
    run.work(stack_job(image, output="stack.TIF"), tmp_path, Channel(tmp_path))
    assert (tmp_path / "stack.TIF").stat().st_size > 1000


def test_two_results_never_share_a_file(tmp_path):
    job = PredictJob("m.onnx", output="map.tif", margin="./map.tif")
    with pytest.raises(GeoSegError, match="output and margin") as caught:
        run.work(job, tmp_path, Channel(tmp_path))
    assert caught.value.code == "same_name" and caught.value.hint


def test_a_users_layer_in_a_geopackage_is_never_deleted(tmp_path):
    image = str(write_raster(tmp_path / "image.tif", hills(40, 50)))
    drawn = write_polygons(tmp_path / "polygons.gpkg", [pixel_box(4, 4, 20, 20)])
    mine = drawn.rename(tmp_path / "mine.gpkg")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "tiles.gpkg").write_bytes(mine.read_bytes())
    before = mine.read_bytes()
    for job in (
        PolygonizeJob(image, output="mine.gpkg"),
        SampleJob(image, output=str(mine)),
        PredictJob("m.onnx", polygons="mine.gpkg"),
        CheckJob(sources_of(Path(image)), Labels("l.gpkg"), findings="mine.gpkg"),
        TileJob(image, "labels.tif", output="set"),
    ):
        with pytest.raises(GeoSegError) as caught:
            run.work(job, tmp_path, Channel(tmp_path))
        assert caught.value.code == "would_overwrite" and "another name" in caught.value.hint
        assert ".gpkg" in caught.value.message and "'polygons'" in caught.value.message
    assert mine.read_bytes() == before == (tmp_path / "set" / "tiles.gpkg").read_bytes()


def test_what_a_job_wrote_itself_is_made_anew(tmp_path):
    """Every kind of layer that we write is known again; a file that only has the name of a GeoPackage is in no way."""
    labelled_scene(tmp_path, rows=120, cols=120)
    image = str(write_raster(tmp_path / "ids.tif", np.ones((20, 30), np.uint8)))
    boxes = [pixel_box(4, 4, 20, 20), pixel_box(4, 4, 20, 20)]
    labels = Labels(str(write_polygons(tmp_path / "l.gpkg", boxes)), name="l")
    for job, written in (
        (PolygonizeJob(image, output="p.gpkg"), "p.gpkg"),
        (SampleJob(image, count=10, output="s.gpkg"), "s.gpkg"),
        (CheckJob(sources_of(Path(image)), labels, findings="f.gpkg"), "f.gpkg"),
        (TileJob("stack.tif", "labels.tif", tile_px=32), "tiles.gpkg"),
    ):
        (tmp_path / written).write_bytes(b"no GeoPackage")
        for _ in range(2):
            run.work(job, tmp_path, Channel(tmp_path))
        assert set(tables_in(tmp_path / written)) - {"layer_styles"} == set(job.layers)
