"""Laws of RoseSettings: what is out of range is refused, whichever way it comes in."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rose_guard import RoseSettings, SettingsError


@pytest.mark.parametrize("alpha", [1.0, 1.5, -0.1, math.nan, math.inf, "much", None])
def test_alpha_outside_zero_to_one_is_refused(alpha):
    with pytest.raises(SettingsError, match="alpha"):
        RoseSettings(alpha=alpha)


@given(st.floats(0, 1, exclude_max=True))
def test_alpha_in_range_is_kept(alpha):
    assert RoseSettings(alpha=alpha).alpha == alpha


@pytest.mark.parametrize(
    "wrong",
    [{"beta": 1.1}, {"horizon": 0}, {"temperature": -1}, {"temperature": math.nan}, {"top_p": 0}, {"seed": -1}],
)
def test_every_setting_has_its_range(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        RoseSettings(**wrong)


def test_a_misspelled_setting_is_refused():
    with pytest.raises(SettingsError, match="alfa"):
        RoseSettings(alfa=0.5)


def test_a_changed_copy_is_checked_too():
    with pytest.raises(SettingsError, match="alpha"):
        RoseSettings().updated(alpha=2.0)
    assert RoseSettings(beta=0.2).updated(alpha=0.3) == RoseSettings(alpha=0.3, beta=0.2)


def test_settings_inside_other_models_raise_the_same_error():
    class Holder(BaseModel):
        settings: RoseSettings

    with pytest.raises(SettingsError, match="alpha"):
        Holder(settings={"alpha": 3})


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RoseSettings().alpha = 0.1
