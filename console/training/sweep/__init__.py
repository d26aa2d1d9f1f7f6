"""Sweeps: many trainings of one recipe over a space of parameters, each trial an ordinary run under the sweep's run.

`space` is what a recipe's `[sweep]` table says; `asking` chooses the next parameters (optuna's samplers and pruners);
`trials` reads what was tried from the store, which is the only memory there is; `controller` is the process that goes
on until the budget is spent; `begin` starts, pauses and resumes it.
"""

from typing import Final

TRIAL_TAG: Final = "console.trial"
"""By which a run is a trial of the sweep that is its parent: its number there."""
