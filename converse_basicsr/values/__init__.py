"""What a value may be: schemas with the keywords of JSON Schema, made, checked and put into words.

Of JSON Schema (draft 2020-12), :data:`KEYWORDS` are supported; :func:`faults` names what is not. The meaning differs on
purpose in one point: ``2.0`` is no ``integer``, though JSON Schema says that it is, because Python's
``range`` and PyTorch's sizes do not take it. Infinities and NaN, which JSON does not have, are no ``number``.
"""

from converse_basicsr.values.declarations import KEYWORDS, faults
from converse_basicsr.values.fitting import fits, same
from converse_basicsr.values.kinds import (
    ANYTHING,
    BOOLEAN,
    FILE_NAME_PART,
    NAME_TEMPLATE,
    SECTION,
    TEXT,
    Schema,
    choice,
    count,
    either,
    integer,
    list_of,
    number,
    optional,
)
from converse_basicsr.values.wording import describe, problem, shown

__all__ = [
    'ANYTHING',
    'BOOLEAN',
    'FILE_NAME_PART',
    'KEYWORDS',
    'NAME_TEMPLATE',
    'SECTION',
    'TEXT',
    'Schema',
    'choice',
    'count',
    'describe',
    'either',
    'faults',
    'fits',
    'integer',
    'list_of',
    'number',
    'optional',
    'problem',
    'same',
    'shown',
]
