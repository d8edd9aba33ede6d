"""What the tests of comparisons share: an option file of two tiny networks, and the tables of a finished one."""

import copy
from pathlib import Path
from typing import Any

import torch
import yaml

from converse_basicsr.compare.comparison import Run
from converse_basicsr.register import load_plugins


def write(options: dict[str, Any]) -> str:
    """Write a comparison file into the current directory and return its path."""
    Path('tiny.yml').write_text(yaml.safe_dump(options, sort_keys=False))
    return 'tiny.yml'


def measured(comparison: dict[str, Any], labels: tuple[str, ...] = ('Converse', 'Conv (twin)')) -> None:
    """Write the two CSV files of a comparison, as an earlier version wrote them."""
    Path('comparison').mkdir()
    curves = [f'"{label}",{seed},{n},val/psnr,{20 + n}\n' for label in labels for seed in (0, 1) for n in (2, 4)]
    curves += [f'"{label}",0,{n},l_pix,0.5\n' for label in labels for n in (1, 2)]
    Path('comparison/tiny_curves.csv').write_text('label,seed,iteration,quantity,value\n' + ''.join(curves))
    runs = [f'"{label}",{seed},100,5.0,1.5,9,19.5,AMD\n' for label in labels for seed in (0, 1)]
    Path('comparison/tiny_runs.csv').write_text(
        'label,seed,parameters,step_ms,kept_mib,wall_s,baseline,machine\n' + ''.join(runs)
    )


def finish(run: Run, seed: int = 0) -> Path:
    """Give a run the weights that a training would end with; return their file."""
    load_plugins()
    from basicsr.archs import build_network

    torch.manual_seed(seed)
    net = build_network(copy.deepcopy(run.option_file.options['network_g']))
    folder = Path('experiments', run.name)
    (folder / 'models').mkdir(parents=True, exist_ok=True)
    (folder / f'{run.name}.yml').write_text(run.option_file.dump())
    torch.save({'params': net.state_dict()}, folder / 'models/net_g_latest.pth')
    return folder / 'models/net_g_latest.pth'
