"""What tests need of PyTorch beyond the oldest version that the package runs with."""

import pytest
import torch
from torch.torch_version import TorchVersion

_IS_OLD = TorchVersion(torch.__version__) < '2.6'

computes_in_float16 = pytest.mark.skipif(_IS_OLD, reason='torch pads in float16 on a CPU from version 2.6 on')
compiles_networks = pytest.mark.skipif(_IS_OLD, reason='torch.compile makes one graph of a network from torch 2.6 on')
