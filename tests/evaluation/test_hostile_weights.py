"""What scores a checkpoint trusts it no more than what restores by it."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import converse_basicsr

converse_basicsr.register()

from converse_basicsr.archs import ConverseDnCNN  # noqa: E402
from converse_basicsr.errors import UserError  # noqa: E402
from converse_basicsr.evaluation.stated_network import network_to_build  # noqa: E402
from converse_basicsr.options.check import building  # noqa: E402
from converse_basicsr.options.file import read_option_file  # noqa: E402

SMALL = {'type': 'ConverseDnCNN', 'num_feat': 4, 'num_block': 1}


@pytest.mark.promise('a checkpoint of a few kilobytes that states a network of a million channels or blocks')
@pytest.mark.parametrize(
    ('section', 'message'),
    [
        ({**SMALL, 'num_feat': 10**6}, 'GiB, more than'),
        ({**SMALL, 'num_block': 10**9}, 'layers and parameters'),
        ({**SMALL, 'num_feat': 5}, 'does not fit ConverseDnCNN'),
        ({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_block': 10**9}, 'layers and parameters'),
    ],
)
def test_no_network_is_built_that_the_weights_do_not_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(building, 'MOST_PARTS', 1000)
    (tmp_path / 'run.yml').write_text(yaml.safe_dump({'name': 'run', 'network_g': SMALL}))
    weights = ConverseDnCNN(num_feat=4, num_block=1).state_dict()
    torch.save({'params': weights, 'network_g': section}, tmp_path / 'net.pth')
    with pytest.raises(UserError, match=message):
        network_to_build(read_option_file(tmp_path / 'run.yml'), tmp_path / 'net.pth')


@pytest.mark.promise('weights that hold infinity or NaN')
def test_weights_that_are_not_finite_get_no_score(tmp_path: Path) -> None:
    from basicsr.models.base_model import BaseModel

    network = ConverseDnCNN(num_feat=4, num_block=1)
    network.m_tail[0].bias.data.fill_(float('nan'))
    torch.save({'params': network.state_dict()}, tmp_path / 'net.pth')
    model = BaseModel({'num_gpu': 0, 'is_train': False})
    with pytest.raises(UserError, match=r'm_tail\.0\.bias holds infinity or NaN'):
        model.load_network(network, str(tmp_path / 'net.pth'))
