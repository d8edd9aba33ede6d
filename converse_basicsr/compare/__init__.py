"""Comparisons: networks trained at equal budgets, their curves, costs and pictures.

:func:`~converse_basicsr.compare.comparison.read_comparison` reads a comparison file,
:func:`~converse_basicsr.compare.train_and_measure.train_and_measure` trains its runs and collects their figures, and
:func:`~converse_basicsr.compare.page.write_page` makes a page of these.
"""
