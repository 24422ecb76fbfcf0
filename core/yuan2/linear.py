"""Linear layers that read their weights at full memory speed on a CPU also for a handful of rows.

Nothing here is particular to Yuan: the layers of any loaded model can be made so.
"""

import torch
from torch import nn

ONEDNN = torch.backends.mkldnn.is_available()
FEW = range(2, 33)
"""Rows of a batch that is written at once. oneDNN compiles a product for each number of rows that it meets, and keeps
it: so prompts, whose lengths are many, are none of its business."""


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """(…, in) → (…, out).

    From two float32 rows on, the product behind ``nn.functional.linear`` repacks the weights and reads them at a half
    to a quarter of the speed it has for one row; oneDNN's does not. So a batch answers in little more time than one
    row.
    """
    few = x.device.type == "cpu" and x.numel() // x.shape[-1] in FEW
    few = few and x.dtype == weight.dtype == torch.float32 and ONEDNN and not torch.is_grad_enabled()
    # A compiler chooses for itself and cannot lower this one; autocast would be passed by.
    if few and not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu"):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return nn.functional.linear(x, weight, bias)


class StreamedLinear(nn.Linear):
    """A linear layer that computes with :func:`linear`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.weight, self.bias)


def stream_linears(model: nn.Module) -> None:
    """Make the plain linear layers of a loaded model :class:`StreamedLinear`, weights untouched.

    Only then: while a model is loaded, quantization takes nothing but plain ones for its own.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = StreamedLinear
