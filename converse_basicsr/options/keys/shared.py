"""Kinds of values that datasets and models share."""

from converse_basicsr.options.keys.definition import Key
from converse_basicsr.values import ANYTHING, list_of, number

PROBABILITY = number(0, 1)
RANGE = list_of(number(), 2)
UNREAD = Key('read by nothing; older option files have it', ANYTHING, unread=True)
