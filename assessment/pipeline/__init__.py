"""What is done with an answer's recording, one module a stage; this one orders them.

The face stage takes the frames as they are decoded, in a thread of its own, while the speech stages run; stress, where
policy allows it, rests on both; what needs a network (translate, grade) follows. Every stage leaves a StageRun, and a
later attempt starts at the first stage that has no finished one.

The stages are imported when they are run: the web server wants their names alone, and must stay small.
"""

from __future__ import annotations

import time

from assessment.models import Answer, Assessment
from assessment.pipeline.runs import OnProgress
from assessment.policy import Policy

STAGES = ("transcribe", "translate", "watch", "listen", "stress", "grade")

__all__ = ["STAGES", "run_answer", "stages_of", "warm_up"]


def stages_of(assessment: Assessment) -> tuple[str, ...]:
    """The stages that its answers go through: without `stress` where policy forbids inferring emotion."""
    if Policy.from_snapshot(assessment.policy).emotion_inference:
        return STAGES
    return tuple(stage for stage in STAGES if stage != "stress")


def run_answer(answer: Answer, *, attempt: int, on_progress: OnProgress) -> None:
    """Run what is not finished of an answer's stages; writes StageRuns, `answer.warnings` and `answer.media_info`.

    Raises AnalysisError when a stage fails; what was finished stays. An exception raised by `on_progress` (a
    lost claim, an interruption) ends the attempt.
    """
    from assessment.pipeline import attempt as attempts

    started = time.perf_counter()
    with attempts.begin(answer, attempt, on_progress) as work:
        work.run()
    seconds = answer.media_info.get("total_s", 0.0) + time.perf_counter() - started
    answer.media_info = answer.media_info | {"total_s": seconds}
    answer.warnings = work.warnings()
    answer.save(update_fields=["media_info", "warnings"])


def warm_up() -> None:
    """Load every model once, so that the first answer takes no longer than the second."""
    from assessment.pipeline import models

    models.warm_up()
