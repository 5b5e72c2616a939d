"""Two processes against one with all the images, in double precision."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from fiftyone_promerge.training.engines.torchvision.backbones.sync_norm import CPUSyncBatchNorm
from fiftyone_promerge.training.engines.torchvision.parts import process_share

# A small net on this process's share of the images; its loss is a mean over unequally many values.
PROCESS = """
import sys, torch
import torch.distributed as dist
sys.path.insert(0, sys.argv[1])
from test_sync_norm import CPUSyncBatchNorm, loss_of, net
rank = int(sys.argv[2])
dist.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=2)
images = torch.load(sys.argv[4])[2 * rank : 2 * rank + 2]
model = net(CPUSyncBatchNorm)
loss_of(model, images, first=2 * rank).backward()
for parameter in model.parameters():
    dist.all_reduce(parameter.grad)
    parameter.grad /= 2
gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
torch.save((gradients, dict(model.named_buffers())), sys.argv[5])
"""


def net(norm):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Conv2d(4, 5, 3), norm(5)]
    return nn.Sequential(*layers).double().train()


def loss_of(model, images, first):
    """The mean of 10, 20, 30, ... values of the images, weighted as that of one of two processes.

    Image number n of the whole batch has 10 (n + 1) values.
    """
    outputs = model(images).flatten(1)
    values = [output[: 10 * (first + n + 1)] for n, output in enumerate(outputs)]
    chosen = torch.cat(values)
    return chosen.square().mean() * process_share(len(chosen), images.device)


def test_two_processes_have_the_gradients_and_statistics_of_one(tmp_path):
    images = torch.randn(
        4, 3, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    torch.save(images, tmp_path / "images.pt")
    folder = __file__.rpartition("/")[0]
    processes = []
    for rank in range(2):
        arguments = [
            folder,
            rank,
            tmp_path / "meet",
            tmp_path / "images.pt",
            tmp_path / f"{rank}.pt",
        ]
        command = [sys.executable, "-c", PROCESS, *map(str, arguments)]
        processes.append(subprocess.Popen(command))
    assert [process.wait() for process in processes] == [0, 0]

    model = net(nn.BatchNorm2d)
    loss_of(model, images, first=0).backward()
    for rank in range(2):
        gradients, buffers = torch.load(tmp_path / f"{rank}.pt")
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-5, atol=1e-7)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(buffers[name], buffer, rtol=1e-6, atol=1e-9)


def test_in_evaluation_it_is_torchs_batch_norm():
    one, two = net(nn.BatchNorm2d).eval(), net(CPUSyncBatchNorm).eval()
    images = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    assert torch.equal(one(images), two(images))
    assert one.state_dict().keys() == two.state_dict().keys()
