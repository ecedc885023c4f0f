"""The straight line: model x molecules x protocol -> raw files -> records. A file a protocol.

What is finished is in the run folder and never done again; a molecule that fails is a record and stops nothing.
"""

from gmd26_md.evaluate.committee import measure_committee
from gmd26_md.evaluate.conservation import measure_conservation
from gmd26_md.evaluate.distributions import measure_distributions
from gmd26_md.evaluate.relaxation import measure_relaxation
from gmd26_md.evaluate.scan import measure_scan
from gmd26_md.evaluate.stability import measure_stability
from gmd26_md.evaluate.static_errors import measure_static_errors
from gmd26_md.question import Question, reference_of

__all__ = [
    "Question",
    "measure_committee",
    "measure_conservation",
    "measure_distributions",
    "measure_relaxation",
    "measure_scan",
    "measure_stability",
    "measure_static_errors",
    "reference_of",
]
