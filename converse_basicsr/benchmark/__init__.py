"""What operator, networks, training and the loading of its data cost on this machine.

:func:`operator_times.measure <converse_basicsr.benchmark.operator_times.measure>`,
:func:`network_times.measure <converse_basicsr.benchmark.network_times.measure>`,
:func:`loader_rates.measure <converse_basicsr.benchmark.loader_rates.measure>` and
:func:`training_step.measure <converse_basicsr.benchmark.training_step.measure>` return results of plain values;
:mod:`converse_basicsr.benchmark.result_tables` makes tables and plots of them.
"""
