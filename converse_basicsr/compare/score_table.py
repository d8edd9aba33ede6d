"""The table of a comparison's page: scores, differences to a reference, costs, published figures."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from converse_basicsr.compare.comparison import Comparison
from converse_basicsr.compare.networks import Network, mean
from converse_basicsr.evaluation.tables import cell, markdown_table, plain

Column = tuple[str, list[str]]
"""A caption and a cell for each network."""


def score_table(comparison: Comparison, networks: Sequence[Network], quantities: Sequence[str]) -> str:
    """Compose the table, and below it the sentences about its scores and differences.

    Args:
        comparison: Gives the reference and the published figures.
        networks: The rows.
        quantities: Test sets and metrics, each a column; by the first one the networks are compared.
    """
    columns: list[Column] = [
        ('network', [network.label for network in networks]),
        ('parameters', [f'{network.parameters:,}' for network in networks]),
    ]
    for quantity in quantities:
        unit = ', dB' if in_decibels(comparison, quantity) else ''
        scores = [_shown(network.ends(quantity).values(), 2 if unit else 4) for network in networks]
        columns.append((f'{caption(quantity)}{unit}', scores))
    reference = _reference(comparison, networks, quantities[0])
    if reference:
        columns += _differences(comparison, networks, reference, quantities)
    columns += [
        ('step, ms', [f'{1e3 * network.step_seconds:.0f}' for network in networks]),
        ('training, s', [f'{network.iterations * network.step_seconds:.0f}' for network in networks]),
        ('kept for backward, MiB', [f'{network.kept_mib:.1f}' for network in networks]),
        *_published(comparison, quantities[0]),
    ]
    head, cells = zip(*columns)
    text = [markdown_table(head, zip(*cells)), '', _about_scores(comparison, networks, quantities)]
    if reference:
        text[-1] += f' {_about_differences(comparison, reference, quantities[0])}'
    return '\n'.join(text)


def parts(quantity: str) -> tuple[str, str]:
    """Divide ``Set12/psnr`` into the test set and the metric as it is shown."""
    test_set, _, metric = quantity.rpartition('/')
    return test_set, metric.upper()


def caption(quantity: str) -> str:
    """Return ``PSNR on Set12`` for ``Set12/psnr``."""
    test_set, metric = parts(quantity)
    return f'{metric} on {test_set}'


def in_decibels(comparison: Comparison, quantity: str) -> bool:
    """Say whether a score is in dB, by the type of its metric."""
    return 'psnr' in str(_metric(comparison, quantity).get('type', quantity)).lower()


def _metric(comparison: Comparison, quantity: str) -> dict[str, Any]:
    section = comparison.metrics.get(quantity.rpartition('/')[2])
    return section if isinstance(section, dict) else {}


def _sign(comparison: Comparison, quantity: str) -> int:
    return -1 if _metric(comparison, quantity).get('better') == 'lower' else 1


def _shown(values: Iterable[float], digits: int, sign: str = '') -> str:
    values = list(values)
    if not values:
        return ''
    text = f'{mean(values):{sign}.{digits}f}'
    if len(values) > 1 and all(map(math.isfinite, values)):
        text += f' ± {statistics.stdev(values):.{digits}f}'
    return text


def _reference(comparison: Comparison, networks: Sequence[Network], quantity: str) -> Network | None:
    """Return the best of the networks that the file names as reference; one without a score is the worst."""

    def rank(network: Network) -> float:
        end = _sign(comparison, quantity) * network.mean_end(quantity)
        return -math.inf if math.isnan(end) else end

    return max((network for network in networks if network.label in comparison.reference), key=rank, default=None)


def _differences(
    comparison: Comparison, networks: Sequence[Network], reference: Network, quantities: Sequence[str]
) -> Iterable[Column]:
    """Yield the differences in the first metric on each set, and how soon each network is as good as the reference."""
    first, metric = quantities[0], parts(quantities[0])[1]
    for quantity in quantities:
        if parts(quantity)[1] != metric:
            continue
        unit = ', dB' if in_decibels(comparison, quantity) else ''
        of_reference = reference.ends(quantity)
        where = '' if quantity == first else f' on {parts(quantity)[0]}'
        cells = []
        for network in networks:
            pairs = [(end, of_reference[seed]) for seed, end in network.ends(quantity).items() if seed in of_reference]
            differences = [end - other for end, other in pairs if network is not reference]
            cells.append(_shown(differences, 2 if unit else 4, '+'))
        yield f'difference to {reference.label}{where}{unit}', cells
    target, whole, sign = reference.mean_end(first), reference.iterations, _sign(comparison, first)
    curves = [[(n, mean(values)) for n, values in network.common_curve(first)] for network in networks]
    yield 'iterations to its final score', [_share_to_reach(curve, target, whole, sign) for curve in curves]


def _share_to_reach(curve: Iterable[tuple[int, float]], target: float, whole: int, sign: int) -> str:
    """Say at which share of ``whole`` iterations a curve, linear between its points, first is as good as ``target``."""
    before: tuple[int, float] | None = None
    for iteration, value in curve:
        if sign * (value - target) >= 0:
            if before is None:
                return f'≤ {iteration / whole:.2f}'
            start, low = before
            part = (target - low) / (value - low) if math.isfinite(low) else 1.0
            return f'{(start + part * (iteration - start)) / whole:.2f}'
        before = iteration, value
    return 'never'


def _published(comparison: Comparison, quantity: str) -> list[Column]:
    published = {run.label: run.published for run in comparison.runs}
    if not any(published.values()):
        return []
    test_set, _ = parts(quantity)
    scores, parameters = [], []
    for figures in published.values():
        psnr, count, where = figures.get('psnr'), figures.get('parameters'), figures.get('test_set', test_set)
        scores.append('' if psnr is None else f'{psnr:.2f}' + (f' ({where})' if where != test_set else ''))
        parameters.append('' if count is None else f'{count:,}')
    return [('published full-size, dB', scores), ('its parameters', parameters)]


def _about_scores(comparison: Comparison, networks: Sequence[Network], quantities: Sequence[str]) -> str:
    seeds = max(len(network.ends(quantities[0])) for network in networks)
    text = 'Scores: mean' + (f' and standard deviation over {seeds} seeds.' if seeds > 1 else ' of one seed.')
    held_out = {cell(quantity) for quantity in comparison.scored_once}
    names = dict.fromkeys(parts(quantity)[0] for quantity in quantities if quantity in held_out)
    if names:
        text += f' Held out: {plain(", ".join(names))}; scored once, by the final weights, never during training.'
    return text


def _about_differences(comparison: Comparison, reference: Network, quantity: str) -> str:
    label, score = plain(reference.label), plain(caption(quantity))
    named = ', '.join(comparison.reference)
    best = f', the best of {plain(named)} by {score}' if len(comparison.reference) > 1 else ''
    return (
        f'Differences: to {label}{best}, between runs of equal seeds. Iterations to its final score: where the mean '
        f'{score}, linear between validations, first reaches that of {label} at its end, as a share of its '
        f'{reference.iterations:,} iterations.'
    )
