from __future__ import annotations

import pytest
import torch

from UltrasoundLesionSegLib.engine.memory import MemoryBank, MemoryPolicy, MemorySettings
from UltrasoundLesionSegLib.engine.network_api import MemoryItem
from UltrasoundLesionSegLib.errors import ModelError


def item(seed: int, like: torch.Tensor | None = None) -> MemoryItem:
    generator = torch.Generator().manual_seed(seed)
    key = torch.rand((1, 3, 2, 2), generator=generator) if like is None else like
    return MemoryItem(key, torch.full((1, 5, 2, 2), float(seed)))


def filled(settings: MemorySettings, frames: range) -> MemoryBank:
    bank = MemoryBank(settings)
    bank.add(0, item(0), permanent=True)
    for frame in frames:
        bank.add(frame, item(frame))
    return bank


def test_all_keeps_every_frame_with_its_own_value() -> None:
    bank = filled(MemorySettings(MemoryPolicy.ALL), range(1, 30))
    read = bank.read(30)
    assert sorted(bank.frames) == list(range(30))
    assert [int(v) for v in read.values[0, :, 0, 0, 0]] == list(bank.frames)
    assert read.distances == tuple(30 - f for f in bank.frames)
    assert read.permanent.count(True) == 1


@pytest.mark.parametrize("settings", [MemorySettings(), MemorySettings(MemoryPolicy.ALL), MemorySettings(capacity=0)])
def test_what_was_passed_can_be_forgotten_and_anchors_stay_with_their_own_values(settings: MemorySettings) -> None:
    bank = filled(settings, range(1, 4))
    bank.add(9, item(9), permanent=True)
    bank.forget_passing()
    read = bank.read(10)
    assert bank.frames == (0, 9)
    assert [int(v) for v in read.values[0, :, 0, 0, 0]] == [0, 9]
    assert torch.equal(read.keys[0, 1], item(9).key[0])
    bank.add(11, item(11))
    assert bank.frames == (0, 9, 11)
    assert bank.read(12).permanent == (True, True, False)


def test_every_n_keeps_anchor_multiples_and_the_previous_frame() -> None:
    bank = filled(MemorySettings(MemoryPolicy.EVERY_N, every=5), range(1, 14))
    assert sorted(bank.frames) == [0, 5, 10, 13]


@pytest.mark.parametrize("capacity", [0, 1, 6])
def test_bounded_never_grows_and_always_holds_anchor_and_previous(capacity: int) -> None:
    bank = MemoryBank(MemorySettings(capacity=capacity))
    bank.add(7, item(7), permanent=True)
    for frame in range(8, 200):
        bank.add(frame, item(frame))
        assert frame in bank.frames
        assert 7 in bank.frames
        assert len(bank) <= 1 + capacity + 1
    read = bank.read(200)
    assert read.values[0, bank.frames.index(199), 0, 0, 0] == 199


def test_bounded_drops_what_is_redundant_not_what_is_different() -> None:
    bank = MemoryBank(MemorySettings(capacity=2))
    same = torch.ones((1, 3, 2, 2))
    odd = torch.tensor([1.0, -1.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2).contiguous()
    bank.add(0, item(0, same), permanent=True)
    bank.add(1, item(1, odd))
    for frame in range(2, 20):
        bank.add(frame, item(frame, same + 0.001 * frame))
    assert 1 in bank.frames


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ModelError, match="capacity"):
        MemorySettings(capacity=-1)
    with pytest.raises(ModelError, match="interval"):
        MemorySettings(every=0)
