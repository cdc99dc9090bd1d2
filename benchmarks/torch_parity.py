"""EfficientNet-Lite0 in visus against the same net written with torch.nn.functional, on the same weight file.

Two independent readers (torch's own and the restricted one of visus) and two independent networks must agree.
It runs where torch is installed; the Keras side runs on whatever backend is set.

    KERAS_BACKEND=torch python -m benchmarks.torch_parity
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.__main__ import require


def lite0(weights, images):
    """EfficientNet-Lite0's logits for float32 `(B, 3, h, w)` 0..255, straight from the torch state dict."""
    from torch.nn import functional as F

    def padded(x, kernel, stride):  # TensorFlow's "same": the odd pixel goes to the bottom and the right
        sides = []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            sides += [total // 2, total - total // 2]
        return F.pad(x, sides)

    def conv(x, name, norm, stride=1, groups=1, relu=True):
        kernel = weights[f"{name}.weight"]
        x = F.conv2d(padded(x, kernel.shape[-1], stride), kernel, stride=stride, groups=groups)
        statistics = [weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *statistics, training=False, eps=1e-3)
        return F.relu6(x) if relu else x

    x = conv((images - 127.0) / 128.0, "_conv_stem", "_bn0", stride=2)
    first_of_stage = {1: 2, 3: 2, 5: 2, 11: 2}  # the block -> its stride; all others have 1
    for i in range(16):
        block, entry = f"_blocks.{i}.", x
        if f"{block}_expand_conv.weight" in weights:
            x = conv(x, f"{block}_expand_conv", f"{block}_bn0")
        stride = first_of_stage.get(i, 1)
        x = conv(x, f"{block}_depthwise_conv", f"{block}_bn1", stride, groups=x.shape[1])
        x = conv(x, f"{block}_project_conv", f"{block}_bn2", relu=False)
        if x.shape == entry.shape:
            x = x + entry
    x = conv(x, "_conv_head", "_bn1").mean(dim=(2, 3))
    return F.linear(x, weights["_fc.weight"], weights["_fc.bias"])


def measure(size: tuple[int, int] = (224, 224), batch: int = 4) -> dict[str, float]:
    """How many tensors the two readers agree on, and the largest difference of the two nets' logits."""
    import torch

    from visus.models import create, find
    from visus.models.weights import packaged, read_checkpoint

    path = packaged(find("efficientnet-lite0").weights)
    theirs = torch.load(path, weights_only=True, map_location="cpu")
    ours = read_checkpoint(path)
    same = [name for name in theirs if np.array_equal(theirs[name].numpy(), ours[name])]
    images = np.random.default_rng(0).integers(0, 256, (batch, *size, 3)).astype(np.float32)
    with torch.no_grad():
        expected = lite0(theirs, torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    model = create("efficientnet-lite0", image_size=size)
    received = model.predict(images, verbose=0)["logits"]
    return {
        "tensors": len(theirs),
        "tensors_equal": len(same),
        "largest_logit": float(np.abs(expected).max()),
        "largest_difference": float(np.abs(received - expected).max()),
    }


def main() -> None:
    require("torch_parity")
    for size in ((224, 224), (160, 225)):
        figures = measure(size)
        print(
            f"{size[0]} x {size[1]}: {figures['tensors_equal']:.0f} of {figures['tensors']:.0f} tensors "
            "equal, "
            f"logits up to {figures['largest_logit']:.2f}, "
            f"largest difference {figures['largest_difference']:.1e}"
        )
        if figures["tensors_equal"] != figures["tensors"] or figures["largest_difference"] > 1e-4:
            sys.exit("The two nets differ.")


if __name__ == "__main__":
    main()
