"""What tests need of PyTorch beyond the oldest version that the package runs with."""

import pytest
import torch
from torch.torch_version import TorchVersion

compiles_networks = pytest.mark.skipif(
    TorchVersion(torch.__version__) < '2.6', reason='torch.compile makes one graph of a network from torch 2.6 on'
)
