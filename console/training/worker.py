"""The process that trains: `python -m console.training.worker` in a run's folder.

It reads `recipe.toml` and `job.json` there, says metrics and progress on the descriptor its supervisor gave it, and
leaves the model with all that is needed to judge, reproduce and watch it under `artifacts/`. It opens no store. Exit
0 when done; 1 with a `fail` line that says in plain words why not, and the traceback in the log.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path

import msgspec

from backends.contract import BackendError, Invalid
from console.training.channel import Channel
from console.training.job import EstimatorFailed, Job


def main() -> int:
    channel = Channel()
    folder = Path.cwd()
    try:
        channel.progress(0.0, "starting")
        recipe_text = (folder / "recipe.toml").read_text(encoding="utf-8")
        job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
        job = msgspec.structs.replace(job, path=str(job.found))
        if not Path(job.path).is_file():
            raise Invalid(
                f"the file of {job.ref} is gone from the store; import the dataset again, then retry.", "dataset"
            )
        from console.training.recipe import parse_recipe
        from console.training.train import train  # scikit-learn and pandas: some seconds

        train(parse_recipe(recipe_text, "recipe.toml"), job, folder / "artifacts", channel)
    except BrokenPipeError:
        print("the supervisor is gone; stopping", file=sys.stderr)
        os._exit(1)
    except (BackendError, EstimatorFailed) as error:
        traceback.print_exc()
        return _fail(channel, str(error))
    except MemoryError:
        traceback.print_exc()
        return _fail(channel, "out of memory; train on fewer rows or columns, or on a larger machine")
    except Exception as error:
        traceback.print_exc()
        return _fail(channel, f"{type(error).__name__}: {error}")
    return 0


def _fail(channel: Channel, reason: str) -> int:
    channel.say(fail=" ".join(reason.split()))
    return 1


if __name__ == "__main__":
    warnings.simplefilter("default")
    raise SystemExit(main())
