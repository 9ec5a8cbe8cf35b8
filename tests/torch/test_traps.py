"""Traps of mixture-of-experts training, shown on the reference model."""

import numpy as np
import pytest
import torch

from orderparam.experts.models.builders import mlp_mixture
from orderparam.experts.models.mixture import Experts, balancing_loss
from orderparam.experts.models.tasks import cross_entropy


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


def ratios(size):
    """Gradient per logit of the balancing loss relative to the task's, without and with scaling."""
    found = []
    for seed in range(3):
        setup = mlp_mixture(size, seed, "mssp", regime="III")
        train(setup, 40)  # the task's gradient has to align first
        setup.model.block.recording = True
        task = cross_entropy(setup.model(setup.probe[0]), setup.probe[1])
        tap = setup.model.block.tap
        losses = [task] + [
            balancing_loss(tap.logits, tap.gates, normalised=flag) for flag in (False, True)
        ]
        gradients = [torch.autograd.grad(x, tap.logits, retain_graph=True)[0] for x in losses]
        sizes = [float(g.square().mean().sqrt()) for g in gradients]
        found.append(np.log([sizes[1] / sizes[0], sizes[2] / sizes[0]]))
    return np.mean(found, axis=0)


def test_the_auxiliary_loss_outgrows_the_task_unless_it_is_scaled():
    torch.set_num_threads(1)
    fixed, scaled = (ratios(8) - ratios(2)) / np.log(4)  # as powers of K
    assert fixed == pytest.approx(1.0, abs=0.35)
    assert scaled == pytest.approx(0.0, abs=0.35)
    multiplier = mlp_mixture(4, 0, "mssp", regime="III").plan.forward_multipliers.auxiliary_loss
    assert multiplier == 0.25
