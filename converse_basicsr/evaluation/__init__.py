"""Networks scored on test sets, in figures, tables and pictures.

:func:`~converse_basicsr.evaluation.evaluate.evaluate` runs a network over the test sets of an option file,
:func:`~converse_basicsr.evaluation.report.report` sums that up for one run, and
:func:`~converse_basicsr.evaluation.reproduce.reproduce` for a table of the paper, beside the figures in
:data:`~converse_basicsr.evaluation.published.TABLES`.
"""
