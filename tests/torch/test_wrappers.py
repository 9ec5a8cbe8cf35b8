"""Names, groups and values survive compilation, DDP and both kinds of FSDP."""

import subprocess
import sys
from pathlib import Path

import torch

from orderparam.experts import RoleRules, Shape
from orderparam.experts.adapters.pytorch.plan import torch_plan

WORKER = Path(__file__).with_name("distributed_worker.py")


def test_two_processes(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for worker in workers:
        output, errors = worker.communicate(timeout=170)
        assert worker.returncode == 0, errors
        assert output.endswith("agreed\n")


def test_a_compiled_model_has_the_same_groups():
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 3))
    rules = RoleRules(
        [("0.weight", "input"), ("0.bias", "input_bias"), ("2.weight", "head"),
         ("2.bias", "head_bias")]
    )  # fmt: skip
    sizes = {"base": Shape(width=64), "target": Shape(width=128)}
    plan = torch_plan(model, rules, **sizes)
    compiled = torch.compile(model, backend="eager")
    before, after = (plan.param_groups(m, lr=0.1) for m in (model, compiled))
    assert [g["name_list"] for g in before] == [g["name_list"] for g in after]
    assert all(name.startswith("_orig_mod.") for name, _ in compiled.named_parameters())
    inputs = torch.randn(3, 64)
    assert torch.allclose(compiled(inputs), model(inputs))
    again = torch_plan(compiled, rules, **sizes)
    assert again.entries == plan.entries
