"""No pixel of one case in another that is read in the same process; see the drill `two_cases`."""

import numpy as np
import pytest
import two_cases


@pytest.mark.parametrize("kind", two_cases.KINDS)
def test_nothing_crosses_over(kind, tmp_path):
    assert two_cases.check(kind, tmp_path) == []


def test_the_check_finds_a_block_of_the_other_case():
    dark, bright = two_cases.case_frames(two_cases.DARK), two_cases.case_frames(two_cases.BRIGHT)
    assert two_cases.blocks_of_other(dark[3], bright) == 0
    mixed = dark[3].copy()
    mixed[16:24, 40:48] = bright[7, 16:24, 40:48]
    assert two_cases.blocks_of_other(mixed, bright) == 1
    assert (np.ptp(dark) < 128, dark.max() < bright.min()) == (True, True)
