"""Results as a Markdown table and as a picture."""

from pathlib import Path
from typing import Any

NAMES = {
    'ours': 'ours',
    'textbook': 'textbook',
    'floor': 'FFT pair',
    'conv': 'depthwise conv',
    'convtranspose': 'depthwise transposed conv',
}


def operator_table(results: dict[str, Any]) -> str:
    """Median times in milliseconds, the ratio to the textbook, memory and error, a row a case."""
    head = ['case', *(f'{name}, ms' for name in NAMES.values()), 'textbook / ours', 'ours / FFT pair']
    head += ['peak MiB, ours / textbook', 'kept for backward MiB, ours / textbook', 'error, ours / textbook']
    rows = []
    for case in results['cases']:
        seconds, error = case['seconds'], case['error']
        row = [case['case'], *(_milliseconds(seconds.get(key)) for key in NAMES)]
        row.append(f'{case["ratio_to_ours"]["textbook"]:.1f}')
        row.append(f'{seconds["ours"] / seconds["floor"]:.2f}' if 'floor' in seconds else '')
        row += [_mebibytes(case.get('peak_bytes')), _mebibytes(case.get('bytes_for_backward'))]
        row.append(f'{error["ours"]:.0e} / {error["textbook"]:.0e}')
        rows.append(row)
    return _markdown(head, rows) + f'\n\n{_machine(results)}'


def network_table(results: dict[str, Any]) -> str:
    """Median times in milliseconds, ratios, and the largest difference of an output value, a row a network."""
    keys = ['ours', 'textbook', 'conv', 'convtranspose']
    head = ['network', *(f'{NAMES[key]}, ms' for key in keys), 'textbook / ours', 'ours / conv', 'largest difference']
    rows = [
        [
            case['case'],
            *(_milliseconds(case['seconds'][key]) for key in keys),
            f'{case["ratio_to_ours"]["textbook"]:.1f}',
            f'{1 / case["ratio_to_ours"]["conv"]:.2f}',
            f'{case["largest_difference_to_textbook"]:.0e}',
        ]
        for case in results['cases']
    ]
    return _markdown(head, rows) + f'\n\n{_machine(results)}'


def save_plot(results: dict[str, Any], path: Path) -> None:
    """Draw how many times as long as ours the other candidates take, and save it in the format of the suffix."""
    import matplotlib

    matplotlib.use('agg')
    matplotlib.rcParams['svg.hashsalt'] = 'converse_basicsr'  # the same figures give the same file
    from matplotlib import pyplot as plt

    cases = results['cases']
    others = [key for key in NAMES if key != 'ours']
    figure, axes = plt.subplots(figsize=(8, 0.5 + 0.75 * len(cases)), layout='constrained')
    height = 0.8 / len(others)
    for i, key in enumerate(others):
        drawn = [(row, case['ratio_to_ours'][key]) for row, case in enumerate(cases) if key in case['ratio_to_ours']]
        bars = axes.barh(
            [row + i * height for row, _ in drawn], [ratio for _, ratio in drawn], height, label=NAMES[key]
        )
        axes.bar_label(bars, fmt='{:.3g}', padding=2, fontsize=7)
    axes.axvline(1, color='black', linewidth=1)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(cases))], [case['case'] for case in cases], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale('log')
    axes.margins(x=0.15)
    axes.set_xlabel('time relative to converse2d (logarithmic)')
    axes.legend(fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _milliseconds(seconds: float | None) -> str:
    return '' if seconds is None else f'{1e3 * seconds:.3g}'


def _mebibytes(sizes: dict[str, int | None] | None) -> str:
    if sizes is None or sizes['ours'] is None:
        return ''
    return f'{sizes["ours"] / 2**20:.1f} / {sizes["textbook"] / 2**20:.1f}'


def _machine(results: dict[str, Any]) -> str:
    machine = results['machine']
    return (
        f'{machine["processor"]} ({machine["cores"]} cores), {machine["threads"]} threads, torch {machine["torch"]}, '
        f'{machine["device"]}; medians.'
    )
