"""The scaling table: against the page, against counting, and against itself."""

import itertools

import numpy as np
import pytest

from orderparam.experts import Recipe, ScalingWarning, Shape, role_table
from orderparam.experts.rules.counting import count
from orderparam.experts.rules.multipliers import multipliers
from orderparam.experts.rules.rows import ROWS, text, value

ROLES = [role for role in ROWS if role != "frozen"]
UNEVEN = {"n": 3.0, "k": 5.0, "e": 7.0, "h": 11.0, "l": 2.0}
FIVE = ("input", "router", "expert_in", "expert_out", "head")
BASE = Shape(width=64, experts=8, active=8, expert_width=16, ffn_width=128, layers=2)
# Exponents of one common scale factor: std, learning rate of Adam, epsilon, learning rate of SGD.
PAGE = {
    "I": [(0, 0, -1, 1), (-1, -1, 0, -1), (-0.5, -1, -1, 0), (-0.5, -1, -1, 0), (-1, -1, 0, -1)],
    "II": [(0, 0, -1, 1), (-0.5, -1, -1, 0), (-0.5, -1, -1, 0), (0, 0, -2, 2), (-1, -1, 0, -1)],
    "III": [
        (0, 0, -1, 1),
        (-0.5, -1, -1, 0),
        (-0.5, -1, -2, 1),
        (-0.5, -1, -2, 1),
        (-1, -1, 0, -1),
    ],
}


def grown(regime, s):
    m, e = {"I": (1, s), "II": (s, 1), "III": (s, s)}[regime]
    return Shape(
        width=64 * s, experts=8 * m, active=8 * m, expert_width=16 * e, ffn_width=128 * s, layers=2
    )


def exponent(number, s):
    return np.log(number) / np.log(s)


@pytest.mark.parametrize("role", ROLES)
def test_every_row_follows_from_counting_signals(role):
    counted, row = count(role), ROWS[role]
    assert value(row.adam, UNEVEN) == pytest.approx(value(counted.update, UNEVEN), rel=1e-12)
    assert value(row.epsilon, UNEVEN) == pytest.approx(value(counted.signal, UNEVEN), rel=1e-12)
    assert value(row.sgd, UNEVEN) == pytest.approx(value(counted.sgd, UNEVEN), rel=1e-12)


@pytest.mark.parametrize("depth", [None, 0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("head_multiplier", [False, True])
@pytest.mark.parametrize("name", ["mup", "mssp"])
def test_sgd_rate_times_epsilon_is_the_rate_of_adam(depth, head_multiplier, name):
    choices = {
        "depth_exponent": depth,
        "head_multiplier": head_multiplier,
        "parameterization": name,
    }
    for role in ROLES:
        sgd = multipliers(role, UNEVEN, Recipe(optimizer="sgd", **choices))
        adam = multipliers(role, UNEVEN, Recipe(optimizer="adamw", **choices))
        sign = multipliers(role, UNEVEN, Recipe(optimizer="lion", **choices))
        assert sgd.learning_rate * adam.epsilon == pytest.approx(adam.learning_rate, rel=1e-12)
        assert sign.learning_rate == adam.learning_rate
        assert sign.epsilon == sgd.epsilon == 1.0


@pytest.mark.parametrize("regime", ["I", "II", "III"])
@pytest.mark.parametrize("name", ["mup", "mssp"])
def test_general_formulas_give_the_tables_of_the_regimes(regime, name):
    s = 4
    adam = role_table(BASE, grown(regime, s), parameterization=name)
    sgd = role_table(BASE, grown(regime, s), parameterization=name, optimizer="sgd")
    assert adam.regime == regime
    for role, (std, rate, epsilon, rate_sgd) in zip(FIVE, PAGE[regime], strict=True):
        if (name, regime, role) == ("mssp", "II", "expert_out"):
            std += 0.5  # the square root of m
        entry = adam[role]
        found = (entry.std, entry.learning_rate, entry.epsilon, sgd[role].learning_rate)
        assert exponent(np.array(found), s) == pytest.approx([std, rate, epsilon, rate_sgd], 1e-12)
    zero, shared = adam["router"].initial == "zero", adam["expert_out"].groups == 1
    assert (zero, shared) == (name == "mssp" and regime == "I", name == "mssp" and regime == "III")


@pytest.mark.parametrize(
    ("k", "n", "std"), [(1, 4, 1 / 4), (4, 4, 1 / 2), (2, 16, 2**0.5 / 16), (64, 4, 1 / 2)]
)
def test_router_starts_as_large_as_forward_and_backward_signals_allow(k, n, std):
    ratio = {**UNEVEN, "n": float(n), "k": float(k)}
    assert multipliers("router", ratio, Recipe()).std == pytest.approx(std, rel=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lion"])
@pytest.mark.parametrize(
    "name", ["mup", "mssp", "mup_global_eps", "jiang2026", "sp", "sp_lr1n", "ntp"]
)
def test_all_multipliers_are_one_at_the_base(optimizer, name):
    choices = {"sharing": "groups"} if name == "mssp" else {}
    plan = role_table(BASE, BASE, parameterization=name, optimizer=optimizer, **choices)
    for entry in plan.entries:
        numbers = (entry.std, entry.learning_rate, entry.epsilon, entry.weight_decay)
        assert numbers == (1.0, 1.0, 1.0, 1.0)
    assert set(vars(plan.forward_multipliers).values()) == {1.0}
    assert plan.identity
    assert not role_table(BASE, BASE, parameterization="mssp", regime="III").identity


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lion"])
@pytest.mark.parametrize("depth", [None, 0.5, 1.0])
@pytest.mark.parametrize("name", ["mup", "mssp"])
def test_decay_of_one_step_is_independent_of_role_and_size(optimizer, depth, name):
    for regime, s in itertools.product(("I", "II", "III"), (2, 8)):
        plan = role_table(
            BASE, grown(regime, s), parameterization=name, optimizer=optimizer, depth_exponent=depth
        )
        for entry in plan.entries:
            assert entry.learning_rate * entry.weight_decay == pytest.approx(1.0, rel=1e-12)


def test_modes_of_weight_decay():
    target = grown("III", 4)
    coupled = role_table(BASE, target, weight_decay_mode="coupled")
    assert all(entry.weight_decay == 1.0 for entry in coupled.entries)
    matrices = role_table(BASE, target, weight_decay_mode="none_for_vectors")
    for entry in matrices.entries:
        vector = entry.initial in ("one", "zero")
        assert (entry.weight_decay == 0.0) is vector


@pytest.mark.parametrize(
    ("a", "adam", "sgd", "epsilon"), [(0.5, -0.5, 0.0, -0.5), (1.0, 0.0, 1.0, -1.0)]
)
def test_depth(a, adam, sgd, epsilon):
    deep = Shape(width=64, ffn_width=128, layers=8)
    base = Shape(width=64, ffn_width=128, layers=2)
    plan = role_table(base, deep, depth_exponent=a)
    rates = role_table(base, deep, depth_exponent=a, optimizer="sgd")
    for entry in plan.entries:
        inside = ROWS[entry.role].in_block
        found = (entry.learning_rate, rates[entry.role].learning_rate, entry.epsilon)
        expected = (adam, sgd, epsilon) if inside else (0, 0, 0)
        assert exponent(np.array(found), 4) == pytest.approx(expected, abs=1e-12), entry.role
    assert plan.forward_multipliers.residual == pytest.approx(4**-a, rel=1e-12)


def test_other_parameterizations():
    s, target = 4, grown("III", 4)

    def exponents(name, optimizer="adamw"):
        plan = role_table(BASE, target, parameterization=name, optimizer=optimizer)
        return {
            role: exponent(
                np.array([plan[role].std, plan[role].learning_rate, plan[role].epsilon]), s
            )
            for role in FIVE
        }

    standard, ntp, ntp_sgd = exponents("sp"), exponents("ntp"), exponents("ntp", "sgd")
    for role in ("router", "expert_in", "expert_out", "head"):
        assert standard[role] == pytest.approx([-0.5, 0, 0], abs=1e-12)
        assert exponents("sp_lr1n")[role] == pytest.approx([-0.5, -1, 0], abs=1e-12)
        assert ntp[role] == pytest.approx([-0.5, -0.5, 0], abs=1e-12)
        assert ntp_sgd[role] == pytest.approx([-0.5, -1, 0], abs=1e-12)
    mup, jiang, single = exponents("mup"), exponents("jiang2026"), exponents("mup_global_eps")
    for role in FIVE:
        assert single[role][:2] == pytest.approx(mup[role][:2], abs=1e-12)
        assert single[role][2] == jiang[role][2] == 0.0
        assert jiang[role][1] == pytest.approx(mup[role][1], abs=1e-12)
    assert jiang["router"][0] == pytest.approx(-1.0, abs=1e-12)


def test_partial_sharing_contains_the_regimes():
    """G = M N_0 N_e0-growth: no sharing in II, a fixed number of draws in III, all experts in I."""
    for regime, draws in (("I", 8), ("II", 32), ("III", 8)):
        plan = role_table(BASE, grown(regime, 4), parameterization="mssp", sharing="groups")
        assert plan["expert_in"].groups == draws
        growth = draws / 8 / (4 if regime in ("I", "III") else 1)
        assert plan["expert_out"].std == pytest.approx(growth**0.5, rel=1e-12)
    between = Shape(width=256, experts=32, active=32, expert_width=32, ffn_width=512, layers=2)
    with pytest.warns(ScalingWarning, match="none of the regimes"):
        plan = role_table(BASE, between, parameterization="mssp")
    assert plan["expert_in"].groups == 16
    assert plan["expert_out"].std == pytest.approx((2 / 2) ** 0.5)


def test_groups_are_rounded_to_a_divisor_and_the_std_follows():
    base = Shape(width=64, experts=6, expert_width=16)
    target = Shape(width=160, experts=18, expert_width=32)
    with pytest.warns(ScalingWarning) as caught:
        plan = role_table(base, target, parameterization="mssp")
    assert any("7.5 groups of experts, rounded to 9" in str(w.message) for w in caught)
    assert plan["expert_out"].groups == 9
    assert plan["expert_out"].std == pytest.approx((9 / 6 / 2) ** 0.5)


def test_monomials_in_words():
    assert text({}) == "1"
    assert text({"k": 1.0, "e": 1.0, "n": -1.0}) == "k e / n"
    assert text({"k": -1.0, "n": -1.0}) == "1 / (k n)"
    assert text({"n": -0.5}) == "1 / n^0.5"
