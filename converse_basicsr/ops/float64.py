"""Where float64 is computed: where the tensors are, or on the CPU if their device has no float64."""

import torch


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64: not Apple's MPS, and not every GPU of Intel.

    A kind of device that PyTorch itself does not have is taken to be without.
    """
    if device.type == 'xpu':
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type in ('cpu', 'cuda', 'meta')


def for_float64(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor that may be turned into float64: itself, or a copy on the CPU.

    The copy and the conversion are two steps, and so are those back: in one, PyTorch converts on the device of the
    source, in the backward pass too.
    """
    return x if has_float64(x.device) else x.cpu()


def moved(x: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device; itself, without a step in any graph, where it is there."""
    return x if x.device == device else x.to(device)
