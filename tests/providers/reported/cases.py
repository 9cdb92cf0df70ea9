"""All the cases that were reported, by the six ways to go wrong."""

from tests.providers.reported.endings import MARKS, WORDS
from tests.providers.reported.errors import REFUSALS
from tests.providers.reported.fields import FIELDS, IDENTITY
from tests.providers.reported.framing import FRAMING

CASES = (*WORDS, *MARKS, *FIELDS, *IDENTITY, *FRAMING, *REFUSALS)
