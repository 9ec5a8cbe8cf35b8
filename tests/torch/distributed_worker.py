"""One of two processes: wrappers must change neither names nor groups nor initial values."""

import sys

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

from orderparam.errors import InvalidProblem, UnsupportedCombination
from orderparam.experts import Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan
from orderparam.experts.models.mlp import MLP_RULES, MLPMixture
from orderparam.experts.models.tasks import cross_entropy

BASE = Shape(width=64, experts=4, active=4, expert_width=8)
TARGET = Shape(width=128, experts=8, active=8, expert_width=16)
INPUTS = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8)


def described(plan, model):
    groups = plan.param_groups(model, lr=0.01, weight_decay=0.1)
    keys = ("lr", "eps", "weight_decay", "role", "lr_mult", "name_list")
    return [{key: group[key] for key in keys} for group in groups]


def trained(plan, model):
    """The loss after two steps of AdamW."""
    optimizer = torch.optim.AdamW(plan.param_groups(model, lr=0.01, weight_decay=0.1))
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(model(INPUTS), LABELS).backward()
        optimizer.step()
    plan.check_optimizer(optimizer, model)
    return float(cross_entropy(model(INPUTS), LABELS).detach())


def check_clipping(plan, fresh, mesh):
    """Every rank clips by the norm of the whole gradient, as one process does."""
    plain, sharded = fresh(), fully_shard(fresh(), mesh=mesh)
    for model in (plain, sharded):
        cross_entropy(model(INPUTS), LABELS).backward()
    sizes = plan.clip_groups(plain, 1e9)
    limits = {role: 0.3 * size for role, size in sizes.items()}
    for _ in range(2):  # a second time there is nothing left to clip
        before, found = (plan.clip_groups(model, limits) for model in (plain, sharded))
        assert all(abs(found[role] / before[role] - 1) < 1e-5 for role in sizes), (before, found)
    for (name, one), other in zip(plain.named_parameters(), sharded.parameters(), strict=True):
        whole = other.grad.full_tensor()
        assert torch.allclose(whole, one.grad, rtol=1e-4, atol=1e-12), name
    first = FullyShardedDataParallel(fresh(), use_orig_params=True, device_id=torch.device("cpu"))
    with pytest.raises(UnsupportedCombination, match="use fully_shard"):
        plan.clip_groups(first, 1.0)


def main(rank, store):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    plain = MLPMixture(TARGET)
    plan = torch_plan(plain, MLP_RULES, base=BASE, target=TARGET, parameterization="mssp")
    plan.initialize_(plain, seed=4)
    expected = described(plan, plain)
    start = {name: value.clone() for name, value in plain.state_dict().items()}
    loss = trained(plan, plain)

    def fresh():
        model = MLPMixture(TARGET)
        model.load_state_dict(start)
        return model

    wrapped = {
        "ddp": DistributedDataParallel(fresh()),
        "fsdp1": FullyShardedDataParallel(
            fresh(), use_orig_params=True, device_id=torch.device("cpu")
        ),
        "fsdp2": fully_shard(fresh(), mesh=mesh),
    }
    for kind, model in wrapped.items():
        assert described(plan, model) == expected, kind
        assert abs(trained(plan, model) - loss) < 1e-5, kind

    sharded = MLPMixture(TARGET)
    fully_shard(sharded, mesh=mesh)
    plan.initialize_(sharded, seed=4)
    for name, value in sharded.state_dict().items():
        assert torch.equal(value.full_tensor(), start[name]), name

    check_clipping(plan, fresh, mesh)

    flat = FullyShardedDataParallel(fresh(), device_id=torch.device("cpu"))
    with pytest.raises(InvalidProblem, match="use_orig_params=True"):
        plan.param_groups(flat, lr=0.01)
    dist.destroy_process_group()
    print("agreed")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
