"""How certain a network must be of what it sees before it is taken for a lesion that was lost.

Other tissue can look like the lost lesion, and a tracker that follows it stays there. So a returning lesion must be
seen with certainty, and with more certainty the less it is as it was (Docs/results/ablations.md, for all these rules).
"""

from __future__ import annotations

CERTAIN_HERE = 0.75  # certainty needed where the lesion was last seen
CERTAIN_ALIKE = 0.65  # and there, if the tissue around it looks as it did then: if its likeness is above
ALIKE = 0.6
CERTAIN_ELSEWHERE = 0.9  # and from one extent of the lesion (the square root of its area) away on; linear between
LARGER = 4.0  # times the lesion's area, from which on that much is needed, too, if the tissue is as it was
# Share of the anchor's lesion that is covered, up to which that much is needed, and from which on no more is, if the
# tissue is not as it was. In the same tissue a part of the lesion is probably the lesion, which comes back.
PART, WHOLE = 0.5, 0.85


def certainty_needed(away: float, alike: float, area: float, covered: float) -> float:
    """Return the certainty that is needed, 0 to 1.

    Parameters
    ----------
    away : float
        Distance to where the lesion was last seen, in its extents (the square root of its area).
    alike : float
        Likeness of the tissue there to what it was, 0 to 1 (``last_view.py``); nan if it is not known.
    area : float
        Over the lesion's area.
    covered : float
        Share of the anchor's lesion, carried there by optical flow, that is covered, 0 to 1; 1 if it is not known.
    """
    same = alike > ALIKE
    other = (area - 1) / (LARGER - 1) if same else (WHOLE - covered) / (WHOLE - PART)
    here = CERTAIN_ALIKE if same else CERTAIN_HERE
    return here + (CERTAIN_ELSEWHERE - here) * min(max(away, other, 0.0), 1.0)
