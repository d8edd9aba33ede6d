"""Results of benchmarks as Markdown tables and as plots."""

from pathlib import Path
from typing import Any

from converse_basicsr.evaluation.tables import markdown_table, plain, pyplot, save_plot

# Share of the time that training may wait for its data before the loader counts as too slow.
KEEPS_UP = 0.05

NAMES = {
    'ours': 'ours',
    'textbook': 'textbook',
    'floor': 'FFT pair',
    'conv': 'depthwise conv',
    'convtranspose': 'depthwise transposed conv',
}


def operator_table(results: dict[str, Any]) -> str:
    """Median times in milliseconds, the ratio to the textbook, memory and error, one row per case."""
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
    return markdown_table(head, rows) + f'\n\n{_machine(results)}; medians.'


def network_table(results: dict[str, Any]) -> str:
    """Median times in milliseconds, ratios, and the largest difference of an output value, one row per network."""
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
    return markdown_table(head, rows) + f'\n\n{_machine(results)}; medians.'


def data_table(results: dict[str, Any]) -> str:
    """Samples per second by number of workers and storage, alone and feeding the network, one row per case."""
    head = ['workers', 'storage', 'first batch, s', 'CPU, ms/sample', 'loader, samples/s']
    with_network = results['step_seconds'] is not None
    if with_network:
        head += ['training, samples/s', 'waiting for data']
    rows = []
    for case in results['cases']:
        row = [str(case['workers']), case['storage'], f'{case["first_batch_seconds"]:.2f}']
        row.append(_milliseconds(case.get('cpu_seconds')))
        row.append(_rate(case['samples_per_second']))
        if with_network:
            row += [_rate(case['training_samples_per_second']), f'{100 * case["waiting"]:.0f} %']
        rows.append(row)
    batch, step = results['batch_size'], results['step_seconds']
    lines = [markdown_table(head, rows), '']
    if with_network:
        lines += [
            f'A training step of {results["network"]} on {batch} samples takes {_milliseconds(step)} ms, that is '
            f'{_rate(batch / step)} samples/s. Workers with which the loader keeps up '
            f'(less than {100 * KEEPS_UP:.0f} % waiting): {_enough_workers(results["cases"])}.',
            '',
        ]
    return '\n'.join([*lines, f'{_machine(results)}.'])


def _enough_workers(cases: list[dict[str, Any]]) -> str:
    """Say, for each storage, the smallest measured number of workers with which the loader keeps up."""
    texts = []
    for storage in dict.fromkeys(case['storage'] for case in cases):
        enough = [case['workers'] for case in cases if case['storage'] == storage and case['waiting'] < KEEPS_UP]
        texts.append(f'{storage}: ' + (f'{min(enough)} or more' if enough else 'none of these'))
    return '; '.join(texts)


PHASES = {
    'data': 'data',
    'forward': 'forward',
    'backward': 'backward',
    'all_reduce': 'all-reduce',
    'optimizer': 'optimizer',
    'rest': 'rest',
}


def train_table(results: dict[str, Any]) -> str:
    """Samples per second, efficiency and the phases of an iteration, by number of processes, then by rank."""
    first = results['cases'][0]
    phases = [f'{name}, ms' for name in PHASES.values()]
    head = ['processes', 'batch', 'samples/s', 'efficiency', 'iteration, ms', *phases, 'peak MiB each']
    rows = []
    for case in results['cases']:
        row = [str(case['processes']), str(case['batch_size']), _rate(case['samples_per_second'])]
        row.append(f'{100 * efficiency(case, first):.0f} %')
        row += [_milliseconds(_mean(case, name)) for name in ('step', *PHASES)]
        row.append(f'{max(rank["peak_bytes"] for rank in case["ranks"]) / 2**20:.0f}')
        rows.append(row)
    lines = [markdown_table(head, rows), '']
    last = results['cases'][-1]
    if last['processes'] > 1:
        head = [f'rank of {last["processes"]}', 'iteration, ms', *phases, 'peak MiB']
        rows = [
            [
                str(number),
                *(_milliseconds(rank[name]) for name in ('step', *PHASES)),
                f'{rank["peak_bytes"] / 2**20:.0f}',
            ]
            for number, rank in enumerate(last['ranks'])
        ]
        size = last['ranks'][0]['gradient_bytes']
        lines += [
            markdown_table(head, rows),
            '',
            f'All-reduce is what the backward pass does not hide; alone, {size / 2**20:.1f} MiB of gradients take '
            f'{_milliseconds(last["ranks"][0]["all_reduce_alone"])} ms.',
            '',
        ]
    option_file = plain(results['option_file'])
    lines.append(f'{results["network"]} ({results["model"]}), {option_file}. {_machine(results)}; medians.')
    return '\n'.join(lines)


def efficiency(case: dict[str, Any], first: dict[str, Any]) -> float:
    """Samples per second and process, relative to those of the fewest processes."""
    of_case, of_first = (each['samples_per_second'] / each['processes'] for each in (case, first))
    return of_case / of_first


def _mean(case: dict[str, Any], name: str) -> float:
    return sum(rank[name] for rank in case['ranks']) / len(case['ranks'])


def save_train_plot(results: dict[str, Any], path: Path) -> None:
    """Draw the phases of an iteration as stacked bars by number of processes, and samples per second beside them."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout='constrained')
    cases = results['cases']
    counts = [case['processes'] for case in cases]
    places, bottom = range(len(cases)), [0.0] * len(cases)
    for name, label in PHASES.items():
        heights = [1e3 * _mean(case, name) for case in cases]
        left.bar(places, heights, bottom=bottom, label=label)
        bottom = [low + height for low, height in zip(bottom, heights)]
    left.set_xticks(places, [str(count) for count in counts])
    left.set_xlabel('processes')
    left.set_ylabel('milliseconds per iteration')
    left.legend(fontsize=8)
    rates = [case['samples_per_second'] for case in cases]
    right.plot(counts, rates, 'o-', label='measured')
    right.plot(counts, [rates[0] * count / counts[0] for count in counts], 'k:', label='proportional')
    right.set_xticks(counts)
    right.set_ylim(0)
    right.set_xlabel('processes')
    right.set_ylabel('samples per second')
    right.legend(fontsize=8)
    save_plot(figure, path)


def save_data_plot(results: dict[str, Any], path: Path) -> None:
    """Draw samples per second over workers, one line per storage, and what the network alone would take."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6, 3.6), layout='constrained')
    cases = results['cases']
    workers = sorted({case['workers'] for case in cases})
    for storage in dict.fromkeys(case['storage'] for case in cases):
        of_storage = [case for case in cases if case['storage'] == storage]
        places = [workers.index(case['workers']) for case in of_storage]
        rates = [case['samples_per_second'] for case in of_storage]
        (line,) = axes.plot(places, rates, 'o-', label=f'loader alone, {storage}')
        if results['step_seconds'] is not None:
            rates = [case['training_samples_per_second'] for case in of_storage]
            axes.plot(places, rates, 's:', color=line.get_color(), label=f'training, {storage}')
    if results['step_seconds'] is not None:
        own = results['batch_size'] / results['step_seconds']
        axes.axhline(own, color='black', linewidth=1, label='network alone')
    axes.set_xticks(range(len(workers)), [str(count) for count in workers])
    axes.set_yscale('log')
    axes.set_xlabel('loader workers')
    axes.set_ylabel('samples per second (logarithmic)')
    axes.legend(fontsize=8)
    save_plot(figure, path)


def save_operator_plot(results: dict[str, Any], path: Path) -> None:
    """Draw how many times as long as ours the other candidates take, and save it in the format of the suffix."""
    plt = pyplot()
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
    save_plot(figure, path)


TABLES = {'operator': operator_table, 'network': network_table, 'data': data_table, 'train': train_table}
PLOTS = {'operator': save_operator_plot, 'data': save_data_plot, 'train': save_train_plot}


def _milliseconds(seconds: float | None) -> str:
    return '' if seconds is None else f'{1e3 * seconds:.3g}'


def _rate(per_second: float) -> str:
    return f'{per_second:.0f}' if per_second >= 100 else f'{per_second:.3g}'


def _mebibytes(sizes: dict[str, int | None] | None) -> str:
    ours, theirs = (sizes['ours'], sizes['textbook']) if sizes else (None, None)
    return '' if ours is None or theirs is None else f'{ours / 2**20:.1f} / {theirs / 2**20:.1f}'


def _machine(results: dict[str, Any]) -> str:
    machine = results['machine']
    return (
        f'{machine["processor"]} ({machine["cores"]} cores), {machine["threads"]} threads, torch {machine["torch"]}, '
        f'{machine["device"]}'
    )
