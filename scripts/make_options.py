"""Write the option files of the paper's tables from one template per table, so that twins differ in their network only.

python scripts/make_options.py            # rewrites options/*.yml and options/test/*.yml
python scripts/make_options.py --check    # exit status 1 if a file is not what its template gives
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from converse_basicsr.evaluation.published import TABLES

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).parent / 'option_templates'

AUTHORS = "model_zoo of the repository cszn/ConverseNet, by the paper's authors"
KAIR = 'model_zoo of the repository cszn/KAIR'


@dataclass
class Row:
    """One row of a table: a network to train and to test.

    Attributes:
        table: Template of its files.
        name: Name of its files.
        network: Arguments of ``network_g``, in order.
        released: Released weights and where they are from, if there are any.
        released_network: Arguments in which the released network differs.
    """

    table: str
    name: str
    network: dict[str, object]
    released: tuple[str, str] | None = None
    released_network: dict[str, object] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name in the paper."""
        return TABLES[self.table][self.name].title

    @property
    def published(self) -> str:
        """What the files' first lines quote of the paper's figures."""
        psnr = TABLES[self.table][self.name].psnr
        if not psnr:
            return "not in the paper's tables"
        figures = (f'{psnr[test_set]:.2f} dB on {words}' for test_set, words in QUOTED[self.table].items())
        return f'published: {", ".join(figures)}'


# Table -> test sets whose published figures are quoted, and how they are called
QUOTED = {
    'dncnn': {'Set12': 'Set12', 'BSD68': 'BSD68'},
    'srresnet': {'Set5': 'Set5'},
    'usrnet': {'BSD100_k1': 'BSD100 with kernel 1'},
}

DNCNN_BLOCKS = {'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 64, 'num_block': 20, 'kernel_size': 5}
SR_BLOCKS = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 64, 'num_block': 16, 'kernel_size': 5, 'upscale': 4}
SR_PLAIN = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 64, 'num_block': 16, 'upscale': 4}
DEBLUR = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 64, 'num_block': 7, 'num_iter': 5, 'kernel_size': 3}
USR = {**DEBLUR, 'blur_kernel_size': 7}

ROWS = [
    Row(
        'dncnn',
        'dncnn_gray25',
        {'type': 'DnCNN', 'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 64, 'num_layer': 17, 'norm': 'bn'},
        ('dncnn_25.pth', KAIR),
        {'norm': 'none'},  # its batch normalisations are merged into the convolutions
    ),
    Row(
        'dncnn',
        'conv_dncnn_gray25',
        {'type': 'ConverseDnCNN', **DNCNN_BLOCKS, 'operator': 'conv'},
    ),
    Row(
        'dncnn',
        'convt_dncnn_gray25',
        {'type': 'ConverseDnCNN', **DNCNN_BLOCKS, 'operator': 'convtranspose'},
    ),
    Row(
        'dncnn',
        'converse_dncnn_gray25',
        {'type': 'ConverseDnCNN', **DNCNN_BLOCKS, 'operator': 'converse'},
        ('converse_dncnn.pth', AUTHORS),
        {'kernel_size': 7},  # the paper's table gives the parameter count of kernel size 5
    ),
    Row(
        'srresnet',
        'srresnet_x4',
        {'type': 'MSRResNet', **SR_PLAIN},
    ),
    Row(
        'srresnet',
        'conv_srresnet_x4',
        {'type': 'ConverseSRResNet', **SR_BLOCKS, 'operator': 'conv'},
    ),
    Row(
        'srresnet',
        'convt_srresnet_x4',
        {'type': 'ConverseSRResNet', **SR_BLOCKS, 'operator': 'convtranspose'},
    ),
    Row(
        'srresnet',
        'converse_srresnet_x4',
        {'type': 'ConverseSRResNet', **SR_BLOCKS, 'operator': 'converse'},
        ('converse_srresnet.pth', AUTHORS),
    ),
    Row(
        'srresnet',
        'converse_up_srresnet_x4',
        {'type': 'ConverseUpSRResNet', **SR_PLAIN, 'operator': 'converse'},
    ),
    Row(
        'usrnet',
        'convnet',
        {'type': 'ConverseNet', **DEBLUR, 'operator': 'conv'},
    ),
    Row(
        'usrnet',
        'conversenet',
        {'type': 'ConverseNet', **DEBLUR, 'operator': 'converse'},
        ('conversenet.pth', AUTHORS),
    ),
    Row(
        'usrnet',
        'conv_usrnet',
        {'type': 'ConverseUSRNet', **USR, 'operator': 'conv'},
    ),
    Row(
        'usrnet',
        'converse_usrnet',
        {'type': 'ConverseUSRNet', **USR, 'operator': 'converse'},
        ('converse_usrnet.pth', AUTHORS),
    ),
    Row(
        'usrnet',
        'usrnet',
        {'type': 'USRNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 64, 'num_block': 2, 'num_iter': 8},
    ),
]

# Name of a network -> what starts it for a short training, and the factors of its learning rate
SHORT_STARTS = {
    'ConverseDnCNN': ('kernel_lr_mult: 0.3, lam_lr_mult: 10', ['kernel_init: small_normal', 'lam_init: 0.1']),
    'ConverseSRResNet': (
        'lam_lr_mult: 10',
        ['kernel_init: gabor', 'lam_init: 0.1', 'up_kernel_init: unit_normal'],
    ),
    'ConverseNet': ('lam_lr_mult: 10', ['kernel_init: gabor', 'lam_init: 0.1']),
    'ConverseUSRNet': ('lam_lr_mult: 10', ['kernel_init: gabor', 'lam_init: 0.1', 'data_lam_init: 0.1']),
}
RECOMMENDED = """\
  kernel_init: small_normal  # with the factors of lr, for short trainings (docs/training.md); else the paper's start
  lam_init: 0.1
"""
RATES = """\
    kernel_lr_mult: 0.3  # kernels of a norm about lam move the filter by 1 / lam times as much
    lam_lr_mult: 10  # lam's logits learn at ten times the rate
"""
# The ablations that change the paper's start
FROM_THE_PAPER = ('ablation_kernel_init', 'ablation_padding')

# Name -> first line, title and runs; $NAME stands for what is published of the full-size network of options/NAME.yml
SMALL_PRESETS = {
    'denoise': (
        'Converse-DnCNN, its twins and DnCNN, narrow, at equal budgets of minutes on a CPU',
        'Gaussian denoising, grey, sigma 25',
        """\
  held_out:  # no run sees it, nothing was chosen on it
    Kodak24:
      type: GaussianNoiseDataset
      dataroot_gt: datasets/Kodak24/GTmod4
      prepare: basicsr prepare testset --input FOLDER_OF_KODAK24 --output datasets/Kodak24 --scale 4
      color: gray
      sigma: 25
      io_backend:
        type: disk
  reference: [Conv-DnCNN, ConvT-DnCNN]
  seeds: [0, 1, 2]
  runs:
    - label: Converse-DnCNN
      published: $converse_dncnn_gray25
    - label: Converse-DnCNN, the paper's start
      network_g: {kernel_init: ~, lam_init: ~}
      train: {optim_g: {kernel_lr_mult: 1, lam_lr_mult: 1}}
    - label: Conv-DnCNN
      network_g: {operator: conv, kernel_init: ~, lam_init: ~}
      train: {optim_g: {kernel_lr_mult: 1, lam_lr_mult: 1}}
      published: $conv_dncnn_gray25
    - label: ConvT-DnCNN
      network_g: {operator: convtranspose, kernel_init: ~, lam_init: ~}
      train: {optim_g: {kernel_lr_mult: 1, lam_lr_mult: 1}}
      published: $convt_dncnn_gray25
    - label: DnCNN
      network_g: {type: DnCNN, num_in_ch: 1, num_out_ch: 1, num_feat: 32, num_layer: 8, norm: bn}
      train: {optim_g: {kernel_lr_mult: 1, lam_lr_mult: 1}}
      published: $dncnn_gray25
""",
    ),
    'ablation_kernel_init': (
        'Ablation: how the reverse convolution starts, on the narrow Converse-DnCNN of small/denoise.yml, half as long',
        'Start of the kernels, Converse-DnCNN, grey, sigma 25',
        """\
  seeds: [0]
  runs:
    - label: softmax
      experiment: small_ablation_default  # trained once for both ablations
    - label: normal
      network_g: {kernel_init: normal}
    - label: uniform
      network_g: {kernel_init: uniform}
""",
    ),
    'ablation_padding': (
        'Ablation: mode and width of the padding, on the narrow Converse-DnCNN of small/denoise.yml, half as long',
        'Padding before the reverse convolution, Converse-DnCNN, grey, sigma 25',
        """\
  seeds: [0]
  runs:
    - label: circular, 4 px
      experiment: small_ablation_default  # trained once for both ablations
    - label: circular, 2 px
      network_g: {padding: 2}
    - label: reflect, 4 px
      network_g: {padding_mode: reflect}
    - label: replicate, 4 px
      network_g: {padding_mode: replicate}
    - label: zeros, 4 px
      network_g: {padding_mode: constant}
    - label: none
      network_g: {padding: 0}
""",
    ),
    'ablation_kernel_size': (
        'Ablation: size of the kernels, on the narrow Converse-DnCNN of small/denoise.yml, half as long',
        'Size of the kernels, Converse-DnCNN, grey, sigma 25',
        """\
  seeds: [0]
  runs:
    - label: 3 x 3
      network_g: {kernel_size: 3}
    - label: 5 x 5
      experiment: small_ablation_recommended  # trained once for both ablations
    - label: 7 x 7
      network_g: {kernel_size: 7}
    - label: 9 x 9
      network_g: {kernel_size: 9}
""",
    ),
    'ablation_lam_init': (
        'Ablation: start of lam, on the narrow Converse-DnCNN of small/denoise.yml, half as long',
        'Start of lam, Converse-DnCNN, grey, sigma 25',
        """\
  seeds: [0]
  runs:
    - label: lam 0.5
      network_g: {lam_init: 0.5}
    - label: lam 0.1
      experiment: small_ablation_recommended  # trained once for both ablations
    - label: lam 0.01
      network_g: {lam_init: 0.01}
    - label: lam 0.001
      network_g: {lam_init: 0.001}
    - label: zero logit (lam 0.00013)
      network_g: {lam_init: ~}
""",
    ),
}


def small_file(name: str) -> str:
    """A comparison file that trains narrow denoisers."""
    header, title, compare = SMALL_PRESETS[name]
    template = Template((TEMPLATES / 'small_denoise.yml').read_text(encoding='utf-8'))
    header = f'# {header}\n#\n#   basicsr compare options/small/{name}.yml\n'
    iterations = 6000 if name == 'denoise' else 3000
    rows = TABLES['dncnn'].items()
    published = {row: f'{{psnr: {of.psnr["Set12"]:.2f}, parameters: {of.parameters}}}' for row, of in rows}
    compare = Template(compare).substitute(published).rstrip('\n')
    of_the_paper = name in FROM_THE_PAPER
    return template.substitute(
        header=header,
        name=f'small_{name}',
        title=title,
        start='' if of_the_paper else RECOMMENDED,
        rates='' if of_the_paper else RATES,
        iterations=iterations,
        compare=compare,
    )


def lines(options: dict[str, object]) -> str:
    """Write a section's keys as YAML."""
    return ''.join(f'  {key}: {value}\n' for key, value in options.items())


def training_file(row: Row) -> str:
    """The option file that trains a row."""
    template = Template((TEMPLATES / f'{row.table}_train.yml').read_text(encoding='utf-8'))
    network = lines(row.network)
    if row.network.get('operator') == 'converse' and row.network['type'] in SHORT_STARTS:
        rates, start = SHORT_STARTS[row.network['type']]
        network += f'  # For a training of some thousand iterations (docs/training.md), with {rates} in optim_g:\n'
        network += ''.join(f'  # {line}\n' for line in start)
    return template.substitute(name=row.name, title=row.title, published=row.published, network=network)


def test_file(row: Row) -> str:
    """The option file that tests a row: the released weights where there are any, else those of its training run."""
    template = Template((TEMPLATES / f'{row.table}_test.yml').read_text(encoding='utf-8'))
    own = f'experiments/{row.name}/models/net_g_latest.pth'
    if row.released is None:
        weights = lines({'pretrain_network_g': f'{own}  # what options/{row.name}.yml trains'})
    else:
        file, origin = row.released
        weights = f'  # Released weights: {origin}.\n  # Your own: {own}\n'
        weights += lines({'pretrain_network_g': f'model_zoo/{file}'})
        if row.released_network:
            changed = ', '.join(f'{key}: {value}' for key, value in row.released_network.items())
            weights = f'  # The released network has {changed}; options/{row.name}.yml trains another.\n' + weights
    weights += lines({'param_key_g': 'params_ema  # or params, or a flat state dict: whichever the file holds'})
    network = lines({**row.network, **row.released_network})
    return template.substitute(
        name=row.name, title=row.title, published=row.published, network=network, weights=weights
    )


def option_files() -> dict[str, str]:
    """All files of the tables, path below ``options/`` to content."""
    return (
        {f'{row.name}.yml': training_file(row) for row in ROWS}
        | {f'test/{row.name}.yml': test_file(row) for row in ROWS}
        | {f'small/{name}.yml': small_file(name) for name in SMALL_PRESETS}
    )


def main() -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='write nothing; name the files that differ')
    args = parser.parse_args()
    differing = []
    for name, text in option_files().items():
        path = ROOT / 'options' / name
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            differing.append(name)
            if not args.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding='utf-8')
    for name in differing:
        print(f'options/{name}', 'differs from its template' if args.check else 'written')
    return int(args.check and bool(differing))


if __name__ == '__main__':
    sys.exit(main())
