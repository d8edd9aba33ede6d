"""Data preparation: images become the LMDBs and folders that the option files name.

Each function makes a data set that is complete or absent: it can be killed and called again, and never overwrites
silently. The command line, ``basicsr prepare``, calls the same functions.
"""

from converse_basicsr.prepare.demo import prepare_demo
from converse_basicsr.prepare.div2k import prepare_div2k
from converse_basicsr.prepare.ground_truth import prepare_deblur, prepare_denoise
from converse_basicsr.prepare.kernel_bank import prepare_kernel_bank
from converse_basicsr.prepare.record import Prepared, Record
from converse_basicsr.prepare.sr import prepare_sr
from converse_basicsr.prepare.testset import prepare_testset
from converse_basicsr.prepare.weights import Fetched, prepare_weights

__all__ = [
    'Fetched',
    'Prepared',
    'Record',
    'prepare_deblur',
    'prepare_demo',
    'prepare_denoise',
    'prepare_div2k',
    'prepare_kernel_bank',
    'prepare_sr',
    'prepare_testset',
    'prepare_weights',
]
