"""Traps of mixture-of-experts training, shown on the reference model."""

import numpy as np
import pytest
import torch

from orderparam.experts.experiment.trap_measures import balancing_ratio
from orderparam.experts.models.builders import mlp_mixture
from orderparam.experts.models.mixture import Experts


def train(setup, steps):
    for step in range(steps):
        inputs, labels = setup.batch(step)
        setup.optimizer.zero_grad()
        setup.loss(setup.model(inputs), labels).backward()
        setup.optimizer.step()


@pytest.mark.parametrize("zero_router", [True, False])
def test_shared_experts_with_a_zero_router_never_separate(zero_router):
    setup = mlp_mixture(2, 0, "mssp", regime="III")
    block = setup.model.block
    if zero_router:
        with torch.no_grad():
            block.router.weight.zero_()
    assert torch.equal(block.expert_in, block.expert_in[:1].expand_as(block.expert_in))
    train(setup, 15)
    spread = float((block.expert_in - block.expert_in[:1]).detach().abs().max())
    if zero_router:
        assert spread == 0.0
    else:
        assert spread > 1e-3


def test_a_zero_router_sends_every_input_to_the_same_experts():
    torch.manual_seed(0)
    inputs = torch.randn(512, 32)
    for jitter, used in ((0.0, 4), (1e-3, 16)):
        block = Experts(32, 16, 4, 8, jitter=jitter)
        torch.nn.init.zeros_(block.router.weight)
        block.recording = True
        block(inputs)
        assert int((block.tap.gates > 0).any(dim=0).sum()) == used


def exponent(avoided):
    """Of the balancing loss's gradient at a logit over the task's, in the number of experts."""
    mean = [
        np.mean([np.log(balancing_ratio(size, seed, avoided)) for seed in range(3)])
        for size in (2, 8)
    ]
    return (mean[1] - mean[0]) / np.log(4)


def test_the_auxiliary_loss_outgrows_the_task_unless_it_is_scaled():
    torch.set_num_threads(1)
    assert exponent(avoided=False) == pytest.approx(1.0, abs=0.35)
    assert exponent(avoided=True) == pytest.approx(0.0, abs=0.35)
    multiplier = mlp_mixture(4, 0, "mssp", regime="III").plan.forward_multipliers.auxiliary_loss
    assert multiplier == 0.25
