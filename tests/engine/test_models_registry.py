"""Networks by name: what is built, what it costs, and what its encoder is."""

import pytest
import torch
from network_scenes import BANDS, CLASSES, NAMES, architecture, drawn, small

from geoseg_engine.contract import ARCHITECTURES, GeoSegError, TrainJob
from geoseg_engine.models import NETWORKS, architecture_of, build, encoder_modules, facts, last_layers
from geoseg_engine.models.facts import Memory
from geoseg_engine.models.patchcnn import patch_px
from geoseg_engine.models.segnet import maxima, upsample
from geoseg_engine.prediction.runtimes.torch_runtime import last_in_float32


def test_every_architecture_of_the_contract_has_a_network():
    assert set(ARCHITECTURES) <= set(NETWORKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_names_its_architecture_and_it_can_be_built(name):
    job = TrainJob(dataset="d", architecture=name)
    made = architecture_of(job, width=4, levels=2, dropout=0.2, bands=5, classes=2)
    assert (made["name"], made["bands"], made["classes"], made["dropout"]) == (name, 5, 2, 0.2)
    network = build(made)
    assert build(made).state_dict().keys() == network.state_dict().keys()
    assert network.eval()(torch.zeros(1, 5, 64, 64)).shape == (1, 2, 64, 64)


def test_a_model_file_of_an_older_version_still_builds():
    build({"name": "unet", "bands": 3, "classes": 2, "width": 4, "levels": 2, "dropout": 0.1})


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"name": "vgg"}, "vgg"),
        ({"name": "unet", "bands": 3, "classes": 2, "depth": 7}, "depth"),
        ({"name": "unet", "bands": 3, "classes": 2, "norm": "layer"}, "layer"),
        ({"name": "deeplabv3plus", "bands": 3, "classes": 2, "encoder": "vgg"}, "vgg"),
        ({"name": "ensemble", "bands": 3, "classes": 2, "members": []}, "0 members"),
        ({"name": "ensemble", "bands": 3, "classes": 9, "members": [architecture("unet")]}, "9 classes"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(settings, names):
    with pytest.raises(GeoSegError, match=names) as caught:
        build(settings)
    assert caught.value.code == "architecture" and caught.value.hint


def test_a_normalisation_that_a_network_lacks_is_not_ignored():
    job = TrainJob(dataset="d", architecture="patchcnn", norm="group")
    with pytest.raises(GeoSegError, match="group"):
        architecture_of(job, width=4, levels=2, dropout=0.0, bands=3, classes=2)


def test_only_settings_that_the_network_takes_are_stored():
    job = TrainJob(dataset="d", architecture="deeplabv3plus", encoder="resnet50")
    made = architecture_of(job, width=4, levels=2, dropout=0.0, bands=3, classes=2)
    assert made == {"name": "deeplabv3plus", "bands": 3, "classes": 2, "encoder": "resnet50", "dropout": 0.0}


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_network(name):
    network, found = small(name), facts(architecture(name))
    assert found.parameters == sum(item.numel() for item in network.parameters())
    assert (found.reach_px, found.align_px, found.tile_exact) == (network.reach_px, network.align_px, True)
    assert 4 * (BANDS + CLASSES) < found.bytes_per_px_forward < found.bytes_per_px_training


def test_memory_counts_what_lives_at_one_time():
    with Memory() as memory, torch.no_grad():
        first = torch.zeros(1000)
        second = first + 1
        view = second[:10]
        del second
        assert memory.current == 8000
        del first, view
    assert memory.current == 0 and memory.peak == 8000


def test_training_memory_of_a_unet_is_that_of_its_features():
    wide = facts({"name": "unet", "bands": 6, "classes": 2, "width": 32, "levels": 4})
    per_level = [4 * 4 * 32 / 2**level for level in range(5)]  # two convolutions and two normalisations
    assert sum(per_level) * 2 < wide.bytes_per_px_training < sum(per_level) * 4


@pytest.mark.parametrize("name", NAMES)
def test_the_encoder_comes_first_and_is_not_the_whole(name):
    network = small(name)
    inside = {id(item) for part in encoder_modules(network) for item in part.parameters()}
    flags = [id(item) in inside for item in network.parameters()]
    assert flags[0] and not flags[-1]


def test_the_patch_network_answers_as_patch_by_patch():
    network = small("patchcnn").double()
    side, reach = network.patch_px, network.reach_px
    assert (side, reach) == (27, 13) and patch_px(1) == 11
    image = torch.randn(1, BANDS, 20, 22, dtype=torch.float64)
    padded = torch.nn.functional.pad(image, [reach] * 4)
    patches = padded.unfold(2, side, 1).unfold(3, side, 1)[0].permute(1, 2, 0, 3, 4).flatten(0, 1)
    with torch.no_grad():
        whole, single = network(image), strided(network, patches)
    assert (whole[0].flatten(1).T - single).abs().max() < 1e-12


def strided(network, patches):
    """The network as its patches know it: poolings that skip, convolutions that do not."""
    features = patches
    for layer in [*network.encoder, *network.dense, network.head]:
        if isinstance(layer, torch.nn.MaxPool2d):
            features = torch.nn.functional.max_pool2d(features, 3, stride=2)
        elif isinstance(layer, torch.nn.Conv2d):
            features = torch.nn.functional.conv2d(features, layer.weight, layer.bias)
        else:
            features = layer(features)
    assert features.shape[2:] == (1, 1)
    return features[:, :, 0, 0]


def test_maxima_are_put_back_where_they_were():
    features = torch.randint(0, 1000, (2, 3, 8, 10)).double()
    pooled, places = torch.nn.functional.max_pool2d(features, 2, return_indices=True)
    alone = (upsample(pooled) == features).double()
    alone = torch.nn.functional.avg_pool2d(alone, 2) == 0.25  # blocks with one maximum
    expected = torch.nn.functional.max_unpool2d(pooled, places, 2)
    given = upsample(pooled) * maxima(features, pooled)
    assert torch.equal(given[upsample(alone.double()) > 0], expected[upsample(alone.double()) > 0])


def test_maxima_do_not_jump_when_two_values_swap():
    features = torch.tensor([[[[1.0, 1.0 + 1e-6], [0.0, 0.5]]]])
    swapped = features.flip(3)[..., :1, :]
    one = maxima(features, torch.nn.functional.max_pool2d(features, 2))[..., :1, :]
    swapped = torch.cat([swapped, features[..., 1:, :]], dim=2)
    other = maxima(swapped, torch.nn.functional.max_pool2d(swapped, 2))[..., :1, :]
    assert (one - other).abs().max() < 1e-3 and one.min() > 0.99


def test_every_member_of_an_ensemble_ends_in_float32_where_the_rest_is_bf16():
    member = {"name": "member", "network": architecture("unet"), "bands": BANDS, "classes": CLASSES}
    joint = {"name": "ensemble", "members": [member, member], "bands": BANDS, "classes": CLASSES}
    network = build(joint).eval().to(torch.bfloat16)
    last_in_float32(network)
    for part in network.members:
        last = last_layers(part)[0]
        assert last.weight.dtype == torch.float32 and last.out_channels == CLASSES
    with torch.inference_mode():
        assert network(torch.zeros(1, BANDS, 16, 16, dtype=torch.bfloat16)).dtype == torch.float32


def test_an_ensemble_gives_the_mean_of_its_members():
    members = [architecture("unet", levels=1), architecture("patchcnn")]
    network = drawn(build({"name": "ensemble", "members": members, "bands": BANDS, "classes": CLASSES}))
    image = torch.randn(1, BANDS, 32, 32)
    with torch.no_grad():
        mean = sum(torch.softmax(member(image), 1) for member in network.members) / 2
        assert (torch.softmax(network(image), 1) - mean).abs().max() < 1e-6
    assert {name.split(".")[0] for name in network.state_dict()} == {"members"}
    assert len(encoder_modules(network)) == 2
