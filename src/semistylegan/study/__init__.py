"""Many trainings, one table: sweeps over any field of the training, each setting with several seeds.

`sweep` does all of it. Its parts: `plan` says what is trained, `running` trains and measures it here or on a cluster,
`table` sums up, `plots` draws.
"""

from semistylegan.study.plan import BASELINES, Study
from semistylegan.study.running import sweep
from semistylegan.study.table import Result

__all__ = ["BASELINES", "Result", "Study", "sweep"]
