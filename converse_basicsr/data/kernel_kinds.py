"""The kinds of blur kernels, by the names that option files and commands use."""

SYNTHETIC_KINDS = ('gaussian', 'motion')
"""Those that :func:`converse_basicsr.data.blur_kernels.random_kernel` draws."""

BANK = 'bank'
"""A kernel out of the files that ``kernels`` names."""

KERNEL_KINDS = (BANK, *SYNTHETIC_KINDS)
"""What ``kernel_kinds`` of an option file may list."""
