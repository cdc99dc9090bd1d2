"""Training steps on the CPU: nets as visus builds and sets them up on TensorFlow, beside native PyTorch, channels-last.

    python -m benchmarks.training_throughput [--torch PYTHON] [--rounds 3]

MobileNetV2 and ResNet-50 at 224, batch 16, float32, all weights learning, plain SGD with momentum, random pictures in
memory. The two sides run in turn, each in its own process with all cores; PYTHON is an interpreter that has torch (by
default `.venv-backends/bin/python`, which `make backends` builds). The nets of the torch side are written out below,
layer by layer as in their papers (ResNet-50 with the stride in the 3x3 convolution is "v1.5"; Keras has it in the
first 1x1, so the torch side has it there, too).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.__main__ import ROOT, refuse, require

BATCH, SIZE, STEPS = 16, 224, 6
NETS = ("MobileNetV2", "ResNet50")


def rate(step: Callable[[], Any]) -> float:
    """Pictures per second, of STEPS steps after two that are not counted."""
    step(), step()
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return BATCH * STEPS / (time.perf_counter() - begin)


def visus_side(name: str) -> float:
    import numpy as np

    from visus.models import create  # before Keras: visus switches oneDNN on
    from visus.train.determinism import repeatable

    repeatable(0)
    import keras

    model = create(
        {"MobileNetV2": "mobilenet-v2", "ResNet50": "resnet-50"}[name], weights="none", num_classes=1000
    )
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    x = 255 * np.random.default_rng(0).random((BATCH, SIZE, SIZE, 3), np.float32)
    y = np.eye(1000, dtype=np.float32)[:BATCH]
    return rate(lambda: model.train_on_batch(x, y))


def torch_side(name: str) -> float:
    import torch
    from torch import nn

    def conv(i: int, o: int, k: int, s: int = 1, g: int = 1, act: Any = nn.ReLU) -> list[Any]:
        layers: list[Any] = [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o)]
        return layers + ([act()] if act else [])

    class Residual(nn.Module):
        def __init__(self, body: Any, shortcut: Any, after: Any) -> None:
            super().__init__()
            self.body, self.shortcut, self.after = body, shortcut, after

        def forward(self, x: Any) -> Any:
            return self.after(self.body(x) + self.shortcut(x))

    if name == "ResNet50":
        layers = [*conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
        width = 64
        for planes, repeats, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for r in range(repeats):
                s = stride if r == 0 else 1
                body = nn.Sequential(
                    *conv(width, planes, 1, s),
                    *conv(planes, planes, 3),
                    *conv(planes, 4 * planes, 1, act=None),
                )
                shortcut = (
                    nn.Sequential(*conv(width, 4 * planes, 1, s, act=None)) if r == 0 else nn.Identity()
                )
                layers.append(Residual(body, shortcut, nn.ReLU()))
                width = 4 * planes
    else:
        layers, width = conv(3, 32, 3, 2, act=nn.ReLU6), 32
        for t, c, n, s in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for r in range(n):
                stride, inner = (s if r == 0 else 1), width * t
                expand = conv(width, inner, 1, act=nn.ReLU6) if t > 1 else []
                body = nn.Sequential(
                    *expand, *conv(inner, inner, 3, stride, inner, nn.ReLU6), *conv(inner, c, 1, act=None)
                )
                same = stride == 1 and width == c
                layers.append(Residual(body, nn.Identity(), nn.Identity()) if same else body)
                width = c
        layers += conv(width, 1280, 1, act=nn.ReLU6)
        width = 1280
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))
    net = net.to(memory_format=torch.channels_last).train()
    optimizer, loss = torch.optim.SGD(net.parameters(), 0.01, 0.9), nn.CrossEntropyLoss()
    x = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    y = torch.arange(BATCH)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(net(x), y).backward()
        optimizer.step()

    return rate(step)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", help="an interpreter that has torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        side, name = options.side
        print(json.dumps({"rate": (visus_side if side == "visus" else torch_side)(name)}))
        return

    if options.torch is None:
        require("training_throughput")
    torch = options.torch or str(ROOT / ".venv-backends" / "bin" / "python")
    asked = [torch, "-c", "import torch"]
    if shutil.which(torch) is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        refuse(f"training_throughput was not run: {torch} has no torch; `make backends` builds one that has.")

    def measure(python: str, side: str, name: str) -> float:
        command = [python, "-m", "benchmarks.training_throughput", "--side", side, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return float(json.loads(done.stdout.splitlines()[-1])["rate"])

    print(
        f"{'net':14} {'visus':>8} {'torch':>8} {'ratio':>6}   (pictures/s trained, median of {options.rounds})"
    )
    for name in NETS:
        pairs = [
            (measure(sys.executable, "visus", name), measure(torch, "torch", name))
            for _ in range(options.rounds)
        ]
        ours, theirs = (statistics.median(side) for side in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{name:14} {ours:8.1f} {theirs:8.1f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
