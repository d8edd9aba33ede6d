import pytest
import torch
from torch import nn

from converse_basicsr.blocks import stack


def test_blocks_are_numbered_and_have_weights_of_their_own() -> None:
    blocks = stack(3, lambda: nn.Linear(2, 2, bias=False))
    assert list(blocks.state_dict()) == ['0.weight', '1.weight', '2.weight']
    assert not torch.equal(blocks[0].weight, blocks[1].weight)
    x = torch.rand(1, 2)
    assert torch.equal(blocks(x), blocks[2](blocks[1](blocks[0](x))))


@pytest.mark.parametrize('num_block', [0, -1, 1.5])
def test_there_is_at_least_one_block(num_block: int) -> None:
    with pytest.raises(ValueError, match=f'num_block must be a positive integer, got {num_block}'):
        stack(num_block, nn.Identity)
