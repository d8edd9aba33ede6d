"""What tests that run on any device share."""

from typing import Any

import torch


def seeded(seed: int) -> torch.Generator:
    """A generator of random numbers on the device on which tensors are made."""
    return torch.Generator(torch.get_default_device()).manual_seed(seed)


def assert_identical(actual: Any, expected: Any) -> None:
    """Require tensors, or containers of them, to be equal: on the CPU to the last bit, elsewhere up to rounding.

    A GPU may take the sums of a convolution in another order each time.
    """
    on_cpu = all(value.device.type == 'cpu' for value in torch.utils._pytree.tree_leaves(actual))
    torch.testing.assert_close(actual, expected, **({'rtol': 0, 'atol': 0} if on_cpu else {}))
