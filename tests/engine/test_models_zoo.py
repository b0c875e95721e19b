"""The extra `zoo`: what its absence says, and, where it is installed, that its networks are ours in all respects."""

import pytest
import torch

from geoseg_engine.contract import GeoSegError, TrainJob
from geoseg_engine.models import architecture_of, build, load_encoder, zoo


def available():
    try:
        zoo.library()
    except GeoSegError:
        return False
    return True


needs_zoo = pytest.mark.skipif(not available(), reason="the extra 'zoo' is not installed")
SMALL = {"name": "zoo", "bands": 5, "classes": 3, "encoder": "resnet18", "decoder": "unet"}


@pytest.mark.skipif(available(), reason="the extra 'zoo' is installed")
def test_without_the_extra_the_next_step_is_named():
    with pytest.raises(GeoSegError) as caught:
        build(SMALL)
    assert caught.value.code == "no_zoo" and "pip install" in caught.value.hint


def test_a_job_may_leave_encoder_and_decoder_open():
    made = architecture_of(
        TrainJob(dataset="d", architecture="zoo"), width=4, levels=2, dropout=0.0, bands=5, classes=3
    )
    assert made == {**SMALL, "encoder": "resnet34"}


@needs_zoo
def test_bands_and_classes_are_free():
    network = build(SMALL).eval()
    assert network(torch.zeros(1, 5, 64, 96)).shape == (1, 3, 64, 96)
    assert not network.tile_exact


@needs_zoo
@pytest.mark.parametrize(("name", "value"), [("encoder", "vgg999"), ("decoder", "nothing")])
def test_unknown_names_are_refused(name, value):
    with pytest.raises(GeoSegError, match=value) as caught:
        build({**SMALL, name: value})
    assert caught.value.code == "architecture"


@needs_zoo
def test_a_file_fills_the_encoder_and_its_bands_are_adapted(tmp_path):
    source = build({**SMALL, "bands": 13})
    torch.save(source.encoder.state_dict(), tmp_path / "thirteen.pth")
    target = build(SMALL)
    assert load_encoder(target, tmp_path / "thirteen.pth") == ["conv1.weight (from 13 bands to 5)"]
    assert torch.equal(target.encoder.layer1[0].conv1.weight, source.encoder.layer1[0].conv1.weight)
