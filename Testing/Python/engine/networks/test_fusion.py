"""TFM, SFM and MSFF against plain einsum references of the paper's equations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from UltrasoundLesionSegLib.engine.networks.fusion import (
    ChannelWeights,
    CoarseFeature,
    Concatenation,
    MultiScaleFusion,
    SpatialFusion,
    TemporalFusion,
    attend,
)


def softmax_read(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Sum over (m, r, s) of exp(q . k / sqrt(Ck)) v over the sum of the exponentials, written out."""
    scores = torch.einsum("bchw,bmcrs->bhwmrs", query, keys) / query.shape[1] ** 0.5
    weights = scores.exp()
    weights = weights / weights.sum(dim=(3, 4, 5), keepdim=True)
    return torch.einsum("bhwmrs,bmvrs->bvhw", weights, values)


@pytest.mark.parametrize("frames", [1, 3])
def test_temporal_fusion_is_a_softmax_over_all_remembered_positions(frames: int) -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(2, 8, 3, 4), torch.randn(2, frames, 8, 3, 4), torch.randn(2, frames, 5, 3, 4)
    assert torch.allclose(TemporalFusion()(query, keys, values), softmax_read(query, keys, values), atol=1e-5)


def test_memory_in_half_precision_is_read_in_the_query_s() -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(1, 8, 3, 4), torch.randn(1, 2, 8, 3, 4), torch.randn(1, 2, 5, 3, 4)
    read = attend(query, keys.half(), values.half())
    assert read.dtype == torch.float32
    assert torch.allclose(read, softmax_read(query, keys.half().float(), values.half().float()), atol=1e-5)


def test_spatial_fusion_reads_the_prior_through_the_previous_key() -> None:
    torch.manual_seed(0)
    module = SpatialFusion(6, 5)
    query, previous, prior = torch.randn(2, 8, 3, 4), torch.randn(2, 8, 3, 4), torch.randn(2, 6, 3, 4)
    padded = torch.nn.functional.pad(prior, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
    value = torch.einsum("bchwij,vcij->bvhw", padded, module.value.weight) + module.value.bias[:, None, None]
    expected = softmax_read(query, previous[:, None], value[:, None])
    assert torch.allclose(module(query, previous, prior), expected, atol=1e-5)


def plain_weights(module: ChannelWeights, x: Tensor, pooling: str) -> Tensor:
    average, largest = torch.einsum("bchw->bc", x) / (x.shape[2] * x.shape[3]), x.flatten(2).max(dim=2).values
    pooled = {"average": average, "max": largest, "both": torch.cat((average, largest), 1)}[pooling]
    hidden = (torch.einsum("bi,oi->bo", pooled, module.squeeze.weight) + module.squeeze.bias).clamp(min=0)
    logits = torch.einsum("bi,oi->bo", hidden, module.excite.weight) + module.excite.bias
    return 1 / (1 + torch.exp(-logits))


@pytest.mark.parametrize("pooling", ["average", "max", "both"])
@pytest.mark.parametrize("sources", [2, 3])
def test_multi_scale_fusion_is_the_weighted_sum(pooling: str, sources: int) -> None:
    torch.manual_seed(0)
    module = MultiScaleFusion(sources, 12, pooling)
    features = [torch.randn(2, 12, 3, 4) for _ in range(sources)]
    expected = torch.zeros(2, 12, 3, 4)
    for weights, one in zip(module.weights, features, strict=True):
        assert isinstance(weights, ChannelWeights)
        expected += torch.einsum("bc,bchw->bchw", plain_weights(weights, one, pooling), one)
    assert torch.allclose(module(features), expected, atol=1e-5)


def test_fusion_refuses_another_number_of_features() -> None:
    with pytest.raises(ValueError, match="zip"):
        MultiScaleFusion(3, 4, "both")([torch.zeros(1, 4, 2, 2)] * 2)


def test_concatenation_keeps_the_order() -> None:
    one, two = torch.zeros(1, 2, 1, 1), torch.ones(1, 3, 1, 1)
    assert Concatenation()([one, two]).flatten().tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(("stages", "terms"), [((4,), 1), ((3,), 1), ((2,), 1), ((2, 3, 4), 3)])
def test_coarse_feature_sums_the_chosen_stages_at_stride_16(stages: tuple[int, ...], terms: int) -> None:
    torch.manual_seed(0)
    module = CoarseFeature((4, 6, 8), stages, 5)
    features = (torch.randn(1, 4, 16, 8), torch.randn(1, 6, 8, 4), torch.randn(1, 8, 4, 2))
    with torch.no_grad():
        w = module(features)
        single = [CoarseFeature((4, 6, 8), (stage,), 5) for stage in stages]
        for one, projection in zip(single, module.projections, strict=True):
            one.projections[0].load_state_dict(projection.state_dict())
        assert w.shape == (1, 5, 4, 2)
        assert len(single) == terms
        assert torch.allclose(w, sum(one(features) for one in single), atol=1e-5)
        # a stage not chosen has no say
        for index, feature in enumerate(features):
            changed = [*features]
            changed[index] = feature + 1
            assert torch.equal(module(tuple(changed)), w) is (index + 2 not in stages)


@pytest.mark.parametrize("stages", [(), (1,), (4, 5)])
def test_unknown_stages_are_refused(stages: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="coarse_stages must be some of 2, 3, 4"):
        CoarseFeature((4, 6, 8), stages, 5)


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling must be one of average, max, both, not 'median'"):
        ChannelWeights(4, "median")
