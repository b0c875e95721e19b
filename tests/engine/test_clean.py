"""The job `clean`: all steps by windows and strips, files of any program, and nothing left behind."""

import json

import clean_references as plain
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from clean_references import patchy
from prediction_scenes import CLASSES, grid_of, write_raster

from geoseg_engine import cli, run
from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    CANCEL_FILE,
    IGNORE,
    Cancelled,
    Cleaning,
    CleanJob,
    GeoSegError,
    LabelClass,
    encode,
)
from geoseg_engine.postprocess.cleaning import clean, small_patches
from geoseg_engine.raster.grid import Window, rasterio_profile
from geoseg_engine.raster.writer import CLASSES_TAG, RasterWriter, read_classes

ALL = Cleaning(majority_px=3, opening_px=1, closing_px=1, fill_holes_px=9, min_patch_px=7)


def write_classes(path, ids):
    tags = {"GEOSEG_MODEL": "model.onnx"}
    with RasterWriter(path, grid_of(*ids.shape), "uint8", IGNORE, ["class"], CLASSES, tags) as writer:
        writer.write(ids, Window(0, 0, *ids.shape))


def cleaned(folder, cleaning=ALL, **changes):
    job = CleanJob("classes.tif", cleaning, **changes)
    result = run.work(job, folder, Channel(folder))
    with rasterio.open(result["output"]) as dataset:
        return result, dataset.read(1)


@pytest.fixture
def small_parts(monkeypatch):
    """Windows and strips that cut a small raster many times."""
    monkeypatch.setattr(clean, "WINDOW_PX", 16)
    monkeypatch.setattr(small_patches, "STRIP_PIXELS", 45 * 8)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_all_steps_in_order_are_the_whole_written_plainly(tmp_path, small_parts, connectivity):
    ids = patchy(2, (40, 45), 3, 2)
    write_classes(tmp_path / "classes.tif", ids)
    cleaning = Cleaning(**{**ALL.__dict__, "connectivity": connectivity})
    result, found = cleaned(tmp_path, cleaning)
    assert np.array_equal(found, plain.cleaned(ids, cleaning, 0))
    assert result["changed_px"] == (found != ids).sum() and result["patches"] > 0
    assert result["counts"] == {str(item.id): int((found == item.id).sum()) for item in CLASSES}
    assert result["areas_m2"]["1"] == pytest.approx(100 * result["counts"]["1"], rel=2e-3)
    assert sum(result["counts"].values()) + result["nodata_px"] == ids.size
    phases = [
        json.loads(line).get("phase")
        for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    told = ["smoothing", "filling holes", "removing small patches", "finishing the file"]
    assert list(dict.fromkeys(filter(None, phases))) == told


def test_the_result_has_colours_names_and_nodata_of_the_raster(tmp_path):
    write_classes(tmp_path / "classes.tif", patchy(0))
    cleaned(tmp_path)
    with rasterio.open(tmp_path / "classes.tif") as one, rasterio.open(tmp_path / "cleaned.tif") as other:
        assert [item.name for item in read_classes(other)] == [item.name for item in CLASSES]
        assert read_classes(one) == read_classes(other)
        assert one.colormap(1) == other.colormap(1) and one.nodata == other.nodata == IGNORE
        assert one.transform == other.transform and one.crs == other.crs
        assert other.tags()["GEOSEG_RESULT"], "the panel takes it for no input"
        assert other.tags()["GEOSEG_MODEL"] == "model.onnx" and json.loads(other.tags()["GEOSEG_CLEANING"])
    sidecars = [
        (tmp_path / f"{name}.tif.aux.xml").read_text(encoding="utf-8") for name in ("classes", "cleaned")
    ]
    assert sidecars[0] == sidecars[1]
    assert sorted(item.name for item in tmp_path.iterdir() if "clean" in item.name) == [
        "cleaned.tif",
        "cleaned.tif.aux.xml",
    ]


@pytest.mark.parametrize(
    ("dtype", "values", "nodata"),
    [
        ("uint8", (0, 255), None),
        ("uint8", (7, 9), 0),
        ("int16", (-5, 300), -9999),
        ("uint32", (10, 70_000), None),
    ],
)
def test_rasters_of_other_programs_keep_their_values(tmp_path, dtype, values, nodata):
    codes = patchy(3, classes=2, none=0.05 if nodata is not None else 0.0)
    table = np.array([*values, *[0] * 253, nodata or 0], dtype)
    write_raster(tmp_path / "classes.tif", table[codes], grid_of(*codes.shape), nodata)
    result, found = cleaned(tmp_path, background=values[0])
    assert np.array_equal(found, table[plain.cleaned(codes, ALL, 0)]) and found.dtype == dtype
    with rasterio.open(tmp_path / "cleaned.tif") as dataset:
        assert dataset.nodata == nodata and read_classes(dataset) == ()
    assert set(result["counts"]) == {str(value) for value in values}


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("uint8", 0), ("uint8", 7)])
def test_a_raster_of_ours_that_was_converted_keeps_what_is_no_class(tmp_path, dtype, nodata):
    codes = patchy(3, classes=3, none=0.05)
    values = np.where(codes == IGNORE, nodata, codes.astype(np.int64) + (nodata == 0)).astype(dtype)
    write_raster(tmp_path / "classes.tif", values, grid_of(*codes.shape), nodata)
    with rasterio.open(tmp_path / "classes.tif", "r+") as dataset:
        dataset.update_tags(**{CLASSES_TAG: json.dumps(encode(CLASSES))})
    result, found = cleaned(tmp_path)
    assert (
        np.array_equal(found == nodata, codes == IGNORE) and result["changed_px"] == (found != values).sum()
    )
    assert result["nodata_px"] == (codes == IGNORE).sum()


def test_a_palette_of_another_program_is_kept(tmp_path):
    ids = patchy(4, none=0.0)
    with rasterio.open(
        tmp_path / "classes.tif", "w", **rasterio_profile(grid_of(*ids.shape), 1, "uint8", None)
    ) as dataset:
        dataset.write(ids, 1)
        dataset.write_colormap(1, {0: (1, 2, 3, 255), 1: (200, 0, 0, 255), 2: (0, 0, 99, 255)})
    cleaned(tmp_path)
    with rasterio.open(tmp_path / "cleaned.tif") as dataset:
        assert [dataset.colormap(1)[item][:3] for item in range(3)] == [(1, 2, 3), (200, 0, 0), (0, 0, 99)]


def test_no_classes_are_refused(tmp_path):
    grid = grid_of(5, 5)
    write_raster(tmp_path / "classes.tif", np.ones((5, 5), np.float32), grid)
    with pytest.raises(GeoSegError) as caught:
        cleaned(tmp_path)
    assert caught.value.code == "not_classes" and "float32" in caught.value.message
    write_raster(tmp_path / "classes.tif", np.ones((5, 5), np.uint8), grid)
    with rasterio.open(tmp_path / "classes.tif", "r+") as dataset:
        dataset.write_mask(np.eye(5, dtype=bool))
    with pytest.raises(GeoSegError) as caught:
        cleaned(tmp_path)
    assert caught.value.code == "masked_classes" and not (tmp_path / "cleaned.tif").exists()


def test_a_background_that_the_raster_does_not_have_is_none(tmp_path):
    write_raster(tmp_path / "classes.tif", np.eye(9, dtype=np.uint8) + 3, grid_of(9, 9))
    _, found = cleaned(tmp_path, Cleaning(opening_px=1))
    assert set(np.unique(found)) <= {3, 4}
    result, _ = cleaned(tmp_path, Cleaning(closing_px=1), background=-1)
    assert [item.code for item in result["warnings"]] == ["closing_without_background"]


def test_cancel_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_classes(tmp_path / "classes.tif", patchy(0))
    (tmp_path / "cleaned.tif").write_text("old", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    progress = Channel.progress

    def cancelled_in_the_last_step(self, phase, done, total, rate=""):
        if phase == "removing small patches":
            (tmp_path / CANCEL_FILE).touch()
        progress(self, phase, done, total, rate)

    monkeypatch.setattr(Channel, "progress", cancelled_in_the_last_step)
    with pytest.raises(Cancelled):
        cleaned(tmp_path)
    left = sorted(item for item in tmp_path.iterdir() if item.name not in (CANCEL_FILE, "events.jsonl"))
    assert left == before and (tmp_path / "cleaned.tif").read_text(encoding="utf-8") == "old"


def test_the_raster_itself_is_never_written_over(tmp_path):
    write_classes(tmp_path / "classes.tif", patchy(0))
    for output, code in (("classes.tif", "would_overwrite"), ("cleaned.png", "bad_name")):
        with pytest.raises(GeoSegError) as caught:
            cleaned(tmp_path, output=output)
        assert caught.value.code == code


def test_from_a_shell(tmp_path, capsys):
    write_classes(tmp_path / "classes.tif", patchy(0))
    flags = ["clean", "--classes", str(tmp_path / "classes.tif"), "--job-folder", str(tmp_path)]
    options = cli.parser().parse_args([*flags, "--cleaning", "majority_px=3", "min_patch_px=20"])
    job = json.loads(cli.write_job(options).read_text(encoding="utf-8"))["job"]
    assert job["cleaning"]["majority_px"] == 3 and job["cleaning"]["min_patch_px"] == 20


def test_help_names_the_settings_of_an_object(capsys):
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["clean", "--help"])
    assert "min_patch_px=0" in capsys.readouterr().out


def test_class_0_is_the_background_unless_the_names_of_the_classes_say_otherwise(tmp_path):
    ids = patchy(1)
    named = (LabelClass(0, "cleared", "cleared"), *CLASSES[1:])
    found = {}
    for key, classes, background in (
        ("by its name", CLASSES, None),
        ("given", named, 0),
        ("a class", named, None),
        ("none", named, -1),
        ("without names", (), None),
    ):
        with RasterWriter(
            tmp_path / "classes.tif", grid_of(*ids.shape), "uint8", IGNORE, ["class"], classes
        ) as writer:
            writer.write(ids, Window(0, 0, *ids.shape))
        found[key] = cleaned(tmp_path, Cleaning(opening_px=1), background=background)[1]
    for key in ("by its name", "without names"):
        assert np.array_equal(found[key], found["given"])
    assert np.array_equal(found["a class"], found["none"])
    assert not np.array_equal(found["a class"], found["given"])


@pytest.mark.parametrize("nodata", [-(2**63), -9999])
def test_whole_numbers_of_64_bits_keep_what_has_no_class(tmp_path, nodata):
    values = np.repeat(np.array([[1, 2], [2, 3]], np.int64), 8, axis=0).repeat(8, axis=1)
    values[:3] = nodata
    write_raster(tmp_path / "wide.tif", values, grid_of(*values.shape))
    rasterio.shutil.copy(tmp_path / "wide.tif", tmp_path / "wide.vrt", driver="VRT")
    text = (tmp_path / "wide.vrt").read_text(encoding="utf-8")
    text = text.replace("<ColorInterp>", f"<NoDataValue>{nodata}</NoDataValue><ColorInterp>")
    (tmp_path / "wide.vrt").write_text(text, encoding="utf-8")
    job = CleanJob("wide.vrt", output="clean.tif", cleaning=Cleaning(majority_px=3))
    result = clean.run(job, tmp_path, Channel(tmp_path))
    with rasterio.open(tmp_path / "clean.tif") as dataset:
        found, valid = dataset.read(1), dataset.read_masks(1) > 0
    assert result["nodata_px"] == 48 and (valid == (values != nodata)).all()
    assert set(np.unique(found[valid])) == {1, 2, 3}
