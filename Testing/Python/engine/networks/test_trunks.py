"""Trunks: names, strides, ImageNet weights, mask input, frozen normalisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from UltrasoundLesionSegLib.engine.networks.trunks import Trunk, build_trunk, load_trunk_weights
from UltrasoundLesionSegLib.errors import ModelError

NAMES = ("resnet50", "resnet18", "mobilenet_v2")


@pytest.mark.parametrize(
    ("name", "parameters"),
    # torchvision's counts less the layers beyond stride 16 and the classifier
    [("resnet50", 8_543_296), ("resnet18", 2_782_784), ("mobilenet_v2", 542_528)],
)
def test_parameter_counts(name: str, parameters: int) -> None:
    assert sum(one.numel() for one in build_trunk(name).parameters()) == parameters


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(32, 64), (48, 16)])
def test_features_come_at_strides_4_8_16(name: str, size: tuple[int, int]) -> None:
    trunk = build_trunk(name).eval()
    with torch.no_grad():
        features = trunk(torch.rand(2, 3, *size))
    expected = [(2, c, size[0] // s, size[1] // s) for c, s in zip(trunk.channels, (4, 8, 16), strict=True)]
    assert [one.shape for one in features] == expected


@pytest.mark.parametrize("name", NAMES)
def test_mask_is_added_after_the_first_convolution(name: str) -> None:
    torch.manual_seed(0)
    plain, masked = build_trunk(name).eval(), build_trunk(name, with_mask=True).eval()
    masked.load_state_dict(plain.state_dict(), strict=False)
    frames, masks = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        for ours, its in zip(masked(frames, torch.zeros_like(masks)), plain(frames), strict=True):
            assert torch.equal(ours, its)
        assert not torch.allclose(masked(frames, masks)[2], plain(frames)[2], atol=1e-7)


def test_frames_are_normalised_inside() -> None:
    trunk = build_trunk("mobilenet_v2").eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen: list[torch.Tensor] = []
    trunk.get_submodule("features.0.0").register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        trunk(torch.full((1, 3, 16, 16), 0.5))
    assert torch.allclose(seen[0][0, :, 0, 0], (0.5 - mean) / std)
    assert "mean" not in trunk.state_dict()


def test_v1_strides_sit_on_the_first_convolution() -> None:
    first, third = (build_trunk("resnet50", stride_on_first=v1).get_submodule("layer2.0") for v1 in (True, False))
    assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    assert (third.conv1.stride, third.conv2.stride) == ((1, 1), (2, 2))


def test_frozen_norm_keeps_its_statistics_in_training() -> None:
    for frozen in (True, False):
        trunk = build_trunk("resnet18", frozen_norm=frozen).train()
        assert trunk.training
        trunk(torch.rand(2, 3, 32, 32))
        norm = trunk.get_submodule("bn1")
        assert isinstance(norm, nn.BatchNorm2d)
        assert bool((norm.running_mean == 0).all()) is frozen


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 'resnet50', 'resnet18' or 'mobilenet_v2', not 'vgg'"):
        build_trunk("vgg")
    with pytest.raises(ValueError, match="stride_on_first is an option of resnet50"):
        build_trunk("mobilenet_v2", stride_on_first=True)
    with pytest.raises(ValueError, match="multiples of 16, not 24 x 32"):
        build_trunk("mobilenet_v2")(torch.rand(1, 3, 24, 32))
    with pytest.raises(ValueError, match="with_mask=True must get masks"):
        build_trunk("mobilenet_v2", with_mask=True)(torch.rand(1, 3, 32, 32))


def half_weights(trunk: Trunk, folder: Path) -> Path:
    """Save a trunk as the ImageNet files are: half precision, without counters, with layers beyond stride 16."""
    state = {name: one.half() for name, one in trunk.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(state | {"features.18.0.weight": torch.zeros(4, 4, 1, 1).half()}, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def test_weights_load_by_name_into_plain_and_masked_trunks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = build_trunk("mobilenet_v2")
    path = half_weights(source, tmp_path)
    for with_mask in (False, True):
        trunk = build_trunk("mobilenet_v2", with_mask=with_mask)
        load_trunk_weights(trunk, path)
        for name, values in source.named_parameters():
            assert trunk.get_parameter(name).dtype == torch.float32
            assert torch.equal(trunk.get_parameter(name), values.half().float())


def test_a_variance_too_large_for_half_precision_leaves_its_channel_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = build_trunk("resnet18").eval()
    assert isinstance(source.bn1, nn.BatchNorm2d)
    assert source.bn1.running_var is not None
    source.bn1.running_var[3] = 70_000.0
    trunk = build_trunk("resnet18").eval()
    load_trunk_weights(trunk, half_weights(source, tmp_path))
    assert all(bool(values.isfinite().all()) for values in trunk.state_dict().values())
    assert float(trunk.state_dict()["bn1.running_var"][3]) == 65_504.0


def test_weights_of_another_trunk_or_none_are_refused(tmp_path: Path) -> None:
    path = half_weights(build_trunk("mobilenet_v2"), tmp_path)
    with pytest.raises(ModelError, match="of ResNet; give"):
        load_trunk_weights(build_trunk("resnet18"), path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_trunk_weights(build_trunk("resnet18"), tmp_path / "absent.safetensors")
    path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="cannot be read"):
        load_trunk_weights(build_trunk("resnet18"), path)


@pytest.mark.parametrize(
    ("name", "file"),
    [("resnet50", "resnet50_imagenet_stage3_fp16"), ("mobilenet_v2", "mobilenet_v2_imagenet_fp16")],
)
def test_the_shared_imagenet_weights_fit(shared_data: Path, name: str, file: str) -> None:
    path = shared_data.parent / "weights" / f"{file}.safetensors"
    if not path.is_file():
        pytest.skip("the ImageNet trunks are not beside the data")
    trunk = build_trunk(name, stride_on_first=name == "resnet50").eval()
    load_trunk_weights(trunk, path)
    assert all(bool(values.isfinite().all()) for values in trunk.state_dict().values())
    # a normalised, trained trunk keeps its features in a sane range; wrong strides or a wrong layout would not
    with torch.no_grad():
        features = trunk(torch.rand(1, 3, 64, 64))
    assert all(0.05 < float(one.std()) < 5 for one in features)
