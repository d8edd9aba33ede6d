"""Measure how reverse convolutions start and what training makes of them: tables and plot of docs/training.md.

python scripts/measure_starts.py --model_zoo model_zoo    # laws, networks of options/small, released weights
python scripts/measure_starts.py --report-only            # the tables and the plot again, from the CSV files

Checkpoints of ``basicsr compare options/small/*.yml`` below ``experiments/`` are measured too, where there are any.
"""

import argparse
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from search_start import CANDIDATES
from torch import nn

from converse_basicsr import Converse2D
from converse_basicsr.blocks import DepthwiseConv2d
from converse_basicsr.compare.comparison import Run, read_comparison
from converse_basicsr.evaluation.tables import csv_text, markdown_table, pyplot, read_rows, save_plot
from converse_basicsr.inspection import inspect_network
from converse_basicsr.inspection.filters import measure
from converse_basicsr.ops.start import KERNEL_LAWS, LAM_LOGIT_SHIFT, RECOMMENDED_LAM_INIT
from converse_basicsr.options.complete import complete
from converse_basicsr.options.file import read_option_file
from converse_basicsr.register import load_plugins
from converse_basicsr.restore.checkpoint import load

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'training.md'
FOLDER = ROOT / 'docs' / 'training'

PAPER_LAM = 1 / (1 + 2.718281828459045**LAM_LOGIT_SHIFT) + 1e-5
LAMS = [PAPER_LAM, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, RECOMMENDED_LAM_INIT, 0.2, 0.3, 0.5, 0.9]
CHANNELS = 256
KERNEL_SIZE = 5
GRID = 40

# Name -> file of options/small, label of its run there, of its twin's
NETWORKS = {
    'Converse-DnCNN': ('denoise', 'Converse-DnCNN', 'Conv-DnCNN'),
    'Converse-SRResNet': ('srresnet_x4', 'Converse-SRResNet', 'Conv-SRResNet'),
    'ConverseNet': ('deblur', 'ConverseNet (blind)', 'ConvNet (blind)'),
    'Converse-USRNet': ('deblur', 'Converse-USRNet', 'Conv-USRNet'),
}
PAPERS, OURS = "the paper's start", 'recommended start'
WEIGHTS = {
    'Converse-DnCNN': 'converse_dncnn.pth',
    'Converse-SRResNet': 'converse_srresnet.pth',
    'ConverseNet': 'conversenet.pth',
    'Converse-USRNet': 'converse_usrnet.pth',
}

LAW_COLUMNS = ('law', 'lam', 'rms', 'peak', 'reach_90', 'kernel_sensitivity', 'lam_sensitivity')
LAYER_COLUMNS = ('network', 'stage', 'layer', 'lam', 'kernel_norm', 'rms', 'peak', 'kernel_sensitivity')
GRADIENT_COLUMNS = ('network', 'start', 'layer', 'kernel', 'twin_kernel', 'logit', 'twin_bias')


def sensitivities(kernel: torch.Tensor, lam: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the filter F moves per move of its kernel's transfer function, and of lam's logit: RMS over frequencies.

    The moves of K and of its conjugate are added as if they had random phases. The twin, whose filter is its kernel,
    has a sensitivity of 1.

    Shape:
        (C, kh, kw), (C,) -> (C,), (C,)
    """
    k = torch.fft.fft2(kernel.double(), s=(GRID, GRID))
    rows, columns = kernel.shape[-2:]
    shift = torch.fft.fftfreq(GRID, dtype=torch.float64) * 2 * torch.pi
    k = k * torch.exp(1j * (shift[:, None] * (rows // 2) + shift * (columns // 2)))  # the centre is at tap k // 2
    lam = lam.double().view(-1, 1, 1)
    denominator = k.abs().square() + lam
    of_conjugate = lam * (1 - k) / denominator.square()
    of_kernel = k.conj() * (k.conj() + lam) / denominator.square()
    of_lam = lam * (k.abs().square() - k.conj()) / denominator.square()
    kernel_rms = (of_conjugate.abs().square() + of_kernel.abs().square()).mean((-2, -1)).sqrt()
    return kernel_rms, of_lam.abs().square().mean((-2, -1)).sqrt()


def laws() -> Iterator[tuple[Any, ...]]:
    """Medians over channels by law of the kernels and lam."""
    for name, law in sorted(KERNEL_LAWS.items()):
        torch.manual_seed(0)
        kernel = law(torch.empty(1, CHANNELS, KERNEL_SIZE, KERNEL_SIZE))[0]
        for value in LAMS:
            lam = torch.full((CHANNELS,), value, dtype=torch.float64)
            filters = measure(kernel.double(), lam, grid=GRID)
            figures = (filters.rms, filters.peak, filters.reach[:, 1].double(), *sensitivities(kernel, lam))
            yield name, f'{value:.3g}', *(f'{figure.median():.4g}' for figure in figures)


def run_of(network: str, start: str | None) -> Run:
    """The first seed's run of a network of options/small from a start, or of its twin."""
    file, label, twin_label = NETWORKS[network]
    wanted = {OURS: label, PAPERS: f'{label}, {PAPERS}', None: twin_label}[start]
    comparison = read_comparison(str(ROOT / 'options' / 'small' / f'{file}.yml'))
    return next(run for run in comparison.runs if run.label == wanted)


def stages(network: str, model_zoo: Path | None) -> Iterator[tuple[str, nn.Module]]:
    """The networks to measure: as they start, during training, as released."""
    from basicsr.archs import build_network

    for start in (PAPERS, OURS):
        run = run_of(network, start)
        torch.manual_seed(run.seed)
        yield start, build_network(dict(run.option_file.options['network_g']))
        folder = Path('experiments', run.name)
        kept = folder / f'{run.name}.yml'
        if (
            kept.is_file()
            and read_option_file(str(kept), []).options['network_g'] == run.option_file.options['network_g']
        ):
            paths = {int(path.stem.split('_')[-1]): path for path in (folder / 'models').glob('net_g_[0-9]*.pth')}
            for iteration, path in sorted(paths.items()):
                yield f'{start}, {iteration:,} iterations', load(path).net
    if model_zoo is not None and (model_zoo / WEIGHTS[network]).is_file():
        yield 'released', load(model_zoo / WEIGHTS[network]).net


def layers(network: str, stage: str, net: nn.Module) -> Iterator[tuple[Any, ...]]:
    """Medians over channels of each layer; data steps, whose kernels come from the blur, have lam alone."""
    for layer in inspect_network(net, grid=GRID):
        if layer.filters is None or layer.scale > 1:
            yield network, stage, layer.name, f'{layer.lam.median():.3g}', '', '', '', ''
            continue
        kernel, _ = sensitivities(layer.filters.kernel, layer.lam)
        norm = layer.filters.kernel.square().sum((-2, -1)).sqrt()
        figures = (norm, layer.filters.rms, layer.filters.peak, kernel)
        yield network, stage, layer.name, f'{layer.lam.median():.3g}', *(f'{one.median():.4g}' for one in figures)


def gradients(network: str) -> Iterator[tuple[Any, ...]]:
    """RMS of the first batch's gradients, for each operator of the network and of its twin."""
    twin = first_gradients(run_of(network, None))
    for start in (PAPERS, OURS):
        for layer, (kernel, logit) in first_gradients(run_of(network, start)).items():
            twin_kernel, twin_bias = twin[layer]
            yield network, start, layer, *(f'{figure:.3g}' for figure in (kernel, twin_kernel, logit, twin_bias))


def first_gradients(run: Run) -> dict[str, tuple[float, float]]:
    """RMS gradients of weight and bias of each operator of scale 1."""
    from basicsr.models import build_model

    from converse_basicsr.benchmark import loader_rates

    options = run.option_file.options
    completed = complete({**options, 'datasets': {'train': options['datasets']['train']}}, is_train=True, most_gpus=0)
    torch.manual_seed(run.seed)
    model = build_model(completed)
    model.feed_data(next(iter(loader_rates.build_loader(completed, completed['datasets']['train'], 0))))
    net = model.get_bare_model(model.net_g)
    model.cri_pix(model.net_g(model.lq), model.gt).backward()
    return {
        name: (rms(module.weight.grad), rms(module.bias.grad))
        for name, module in net.named_modules()
        if isinstance(module, (Converse2D, DepthwiseConv2d)) and module.scale == 1
    }


def rms(gradient: torch.Tensor) -> float:
    """Root of the mean square."""
    return float(gradient.square().mean().sqrt())


def plot(rows: Sequence[Sequence[str]]) -> None:
    """Draw gain and sensitivity against lam, one line per law."""
    plt = pyplot()
    panels = (('rms', 'rms gain'), ('peak', 'peak gain'), ('kernel_sensitivity', 'sensitivity to the kernel'))
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.6), layout='constrained')
    for axis, (column, title) in zip(axes, panels):
        number = LAW_COLUMNS.index(column)
        for law in dict.fromkeys(row[0] for row in rows):
            own = [row for row in rows if row[0] == law]
            axis.loglog(
                [float(row[1]) for row in own], [float(row[number]) for row in own], 'o-', markersize=3, label=law
            )
        for value, style in ((PAPER_LAM, ':'), (RECOMMENDED_LAM_INIT, '--')):
            axis.axvline(value, color='gray', linestyle=style, linewidth=1)
        if column == 'peak':
            bounds = [(1 + (1 + 1 / lam) ** 0.5) / 2 for lam in LAMS]
            axis.loglog(LAMS, bounds, color='black', linewidth=1, label='bound')
        axis.set_xlabel('lam')
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    save_plot(figure, FOLDER / 'starts.svg')


def write(name: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table of figures."""
    (FOLDER / name).write_text(csv_text([columns, *rows]), encoding='utf-8')


def read(name: str) -> list[list[str]]:
    """Read a table of figures without its head."""
    return read_rows(FOLDER / name)[1:]


def shown(text: str) -> str:
    """A figure as the page shows it: three digits."""
    if not text:
        return ''
    value = float(text)
    return f'{value:.1e}' if value < 1e-2 else f'{value:.3g}' if value < 1000 else f'{value:,.0f}'


def law_table() -> str:
    """The page's table of laws, at the lams that the text speaks of."""
    wanted = {f'{lam:.3g}' for lam in (PAPER_LAM, 1e-2, RECOMMENDED_LAM_INIT, 0.5)}
    rows = [row for row in read('laws.csv') if row[1] in wanted]
    head = ('kernels', 'lam', 'rms gain', 'peak gain', 'reach of 90%, px', 'sensitivity to K', 'to the logit')
    return markdown_table(head, [[row[0], *map(shown, row[1:])] for row in rows])


def layer_table() -> str:
    """The page's table of layers: per network and stage, the medians over layers and the range."""
    rows = read('layers.csv')
    table = []
    for network, stage in dict.fromkeys((row[0], row[1]) for row in rows):
        own = [row for row in rows if row[:2] == [network, stage]]
        cells = [network, stage]
        for number in range(3, len(LAYER_COLUMNS)):
            values = [row[number] for row in own if row[number] and row[5]]
            cells.append(_range([float(value) for value in values]))
        table.append(cells)
    head = ('network', 'stage', 'lam', 'norm of the kernel', 'rms gain', 'peak gain', 'sensitivity to K')
    return markdown_table(head, table)


def gradient_table() -> str:
    """The page's table of first gradients: medians over the layers, relative to the twin's."""
    rows = read('gradients.csv')
    table = []
    for network, start in dict.fromkeys((row[0], row[1]) for row in rows):
        own = [[float(value) for value in row[3:]] for row in rows if row[:2] == [network, start]]
        kernel, twin, logit, bias = (statistics.median(column) for column in zip(*own))
        ratios = [row[0] / row[1] for row in own if row[1]]
        table.append(
            [
                network,
                start,
                *(f'{one:.1e}' for one in (kernel, twin)),
                _range(ratios) if ratios else '',
                f'{logit:.1e}',
                f'{bias:.1e}',
            ]
        )
    head = ('network', 'start', 'kernel', "twin's kernel", 'ratio', 'logit of lam', "twin's bias")
    return markdown_table(head, table)


def _range(values: Sequence[float]) -> str:
    low, high = shown(str(min(values))), shown(str(max(values)))
    return f'{shown(str(statistics.median(values)))} ({low} to {high})'


def search_table() -> str:
    """The page's table of what was tried: per network, best first."""
    rows = read('search.csv')
    scores: dict[tuple[str, int], dict[str, list[float]]] = {}
    for network, iterations, name, _, _, value in rows:
        scores.setdefault((network, int(iterations)), {}).setdefault(name, []).append(float(value))
    table = []
    for (network, iterations), of_names in sorted(scores.items()):
        for name, values in sorted(of_names.items(), key=lambda item: -statistics.fmean(item[1])):
            seeds = '' if len(values) == 1 else f' (mean of {len(values)} seeds)'
            start = CANDIDATES[name].title + seeds
            table.append([network.removeprefix('small_'), f'{iterations:,}', start, f'{statistics.fmean(values):.2f}'])
    return markdown_table(('network of', 'iterations', 'start', 'PSNR, dB'), table)


def write_page() -> None:
    """Put the tables between the markers of docs/training.md, and draw the plot."""
    text = PAGE.read_text(encoding='utf-8')
    tables = {'laws': law_table, 'layers': layer_table, 'gradients': gradient_table, 'search': search_table}
    for name, table in ((name, make()) for name, make in tables.items()):
        text, count = re.subn(
            rf'(<!-- {name} -->\n).*?(<!-- /{name} -->)',
            lambda match, table=table: f'{match[1]}\n{table}\n\n{match[2]}',
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(f'{PAGE} must hold the markers of {name} once, got {count}')
    PAGE.write_text(text, encoding='utf-8')
    plot(read('laws.csv'))


def main() -> None:
    """Measure, or write the page again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model_zoo', type=Path, help='folder of the released weights')
    parser.add_argument('--report-only', action='store_true', help='write page and plot from the CSV files')
    args = parser.parse_args()
    if not args.report_only:
        load_plugins()
        write('laws.csv', LAW_COLUMNS, laws())
        measured = [(name, *stage) for name in NETWORKS for stage in stages(name, args.model_zoo)]
        write('layers.csv', LAYER_COLUMNS, (row for one in measured for row in layers(*one)))
        write('gradients.csv', GRADIENT_COLUMNS, (row for name in NETWORKS for row in gradients(name)))
    write_page()


if __name__ == '__main__':
    main()
