"""Retraining on a schedule: one recurring run of a name on Kubeflow Pipelines 2."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from pipeline.kubeflow.client import Kubeflow, Version
from pipeline.kubeflow.package import Package
from pipeline.kubeflow.transport import KubeflowError

_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_DAYS = "SUN MON TUE WED THU FRI SAT".split()
#: Of a cron expression: what each field is, its lowest and highest number, and names of numbers.
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_RANGE = re.compile(r"((?P<all>[*?])|(?P<first>\w+)(-(?P<last>\w+))?)(/(?P<step>\d+))?", re.A)
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What makes two recurring runs the same; those of `schedule` never run twice at a time."""

    experiment_id: str
    cron: str
    pipeline_id: str
    version_id: str
    parameters: Mapping[str, Any]
    pipeline_root: str
    max_concurrency: int = 1
    no_catchup: bool = True


class Schedule(NamedTuple):
    """A recurring run, and the address of its page."""

    recurring_run_id: str
    settings: Settings
    enabled: bool
    created: datetime
    link: str


class Scheduled(NamedTuple):
    """What `schedule` did.

    Attributes:
      done: "created", "replaced", "resumed" or "unchanged".
      link: the address of the recurring run's page.
      version: of the pipeline, which it runs.
      removed: how many others were deleted.
    """

    done: str
    link: str
    version: Version
    removed: int


def check_cron(text: str) -> str:
    """Returns a cron expression as Kubeflow reads it: six fields, the first of them seconds.

    Raises:
      ValueError: names the field, what was expected and what came.
    """
    fields = text.split()
    if len(fields) != len(_FIELDS):
        hint = "; seconds come first, as in '0 0 3 * * *'" if len(fields) == 5 else ""
        names = ", ".join(name for name, *_ in _FIELDS)
        raise ValueError(f"cron: expected six fields ({names}); got {text!r}{hint}")
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        if not all(_is_range(part, low, high, words) for part in field.split(",")):
            known = f" or {next(iter(words))} to {list(words)[-1]}" if words else ""
            raise ValueError(
                f"cron: {name}: expected *, {low} to {high}{known}, a-b, or any of these with "
                f"/step, comma-separated; got {field!r}"
            )
    return " ".join(fields)


def schedule(
    kubeflow: Kubeflow,
    package: Package,
    cron: str,
    parameters: Mapping[str, Any],
    *,
    pipeline_name: str = "",
    pipeline_root: str = "",
    experiment: str = "",
) -> Scheduled:
    """Makes the recurring run of the pipeline's name what it should be.

    Servers cannot edit one: another is created, then the old ones are deleted, see `delete`.
    Whenever this is interrupted there is one at least, and the next call leaves exactly one.

    Args:
      kubeflow: where.
      cron: see `check_cron`.
      package, parameters, pipeline_name, pipeline_root, experiment: see `Kubeflow.submit`.

    Raises:
      ValueError: see `check_cron`.
      KubeflowError: see `Kubeflow`.
    """
    cron = check_cron(cron)
    name = pipeline_name or package.name
    version = kubeflow.upload(package, name)
    wanted = Settings(
        kubeflow.experiment(experiment or name),
        cron,
        version.pipeline_id,
        version.version_id,
        parameters,
        pipeline_root or package.pipeline_root,
    )
    there = find(kubeflow, name)
    if there and there[0].settings == wanted:
        (kept, _, enabled, _, link), others = there[0], there[1:]
        done = "unchanged" if enabled else "resumed"
        if not enabled:
            kubeflow.client.enable_recurring_run(kept)
    else:
        link, others = _create(kubeflow, name, wanted), there
        done = "replaced" if there else "created"
    for other in others:
        _delete(kubeflow, other)
    return Scheduled(done, link, version, len(others))


def find(kubeflow: Kubeflow, name: str) -> list[Schedule]:
    """Returns the recurring runs of a name, newest first; more than one after an interruption."""
    found = [_to_schedule(kubeflow, run) for run in kubeflow.recurring_runs(name)]
    return sorted(found, key=lambda s: (s.created, s.recurring_run_id), reverse=True)


def describe(kubeflow: Kubeflow, one: Schedule) -> list[tuple[str, str]]:
    """Returns names and values of what there is to know of a recurring run, for people."""
    settings, values = one.settings, sorted(one.settings.parameters.items())
    return [
        ("state", "on" if one.enabled else "paused"),
        ("when", settings.cron or "not by cron"),
        ("version", settings.version_id),
        ("parameters", ", ".join(f"{name}={value}" for name, value in values) or "as compiled"),
        ("pipeline root", settings.pipeline_root or "the installation's"),
        ("created", f"{one.created:%Y-%m-%d %H:%M:%S %Z}"),
        ("last run", _last_run(kubeflow, one)),
        ("see", one.link),
    ]


def pause(kubeflow: Kubeflow, name: str) -> int:
    """Stops a recurring run from starting runs; returns how many there are of the name."""
    return _for_each(kubeflow, name, lambda s: kubeflow.client.disable_recurring_run(s[0]))


def resume(kubeflow: Kubeflow, name: str) -> int:
    """Lets a recurring run start runs again; returns how many there are of the name."""
    return _for_each(kubeflow, name, lambda s: kubeflow.client.enable_recurring_run(s[0]))


def delete(kubeflow: Kubeflow, name: str) -> int:
    """Deletes a recurring run; returns how many there were of the name.

    Its runs stay; before Kubeflow Pipelines 2.16 one that is under way is ended.
    """
    return _for_each(kubeflow, name, lambda s: _delete(kubeflow, s))


def _for_each(kubeflow: Kubeflow, name: str, act: Callable[[Schedule], Any]) -> int:
    there = find(kubeflow, name)
    for one in there:
        act(one)
    return len(there)


def _create(kubeflow: Kubeflow, name: str, wanted: Settings) -> str:
    """Creates a recurring run; returns its link."""
    made = kubeflow.client.create_recurring_run(
        experiment_id=wanted.experiment_id,
        job_name=name,
        cron_expression=wanted.cron,
        max_concurrency=wanted.max_concurrency,
        no_catchup=wanted.no_catchup,
        params=dict(wanted.parameters),
        pipeline_id=wanted.pipeline_id,
        version_id=wanted.version_id,
        pipeline_root=wanted.pipeline_root or None,
    )
    return _link(kubeflow, kubeflow.id_of(made, "recurring_run_id"))


def _delete(kubeflow: Kubeflow, one: Schedule) -> None:
    # kfp's own method knows no policy, without which Kubernetes ends a run that is under way, too.
    # Servers before 2.16 do not know it either, and pass over it.
    try:
        kubeflow.client.api_client.call_api(
            "/apis/v2beta1/recurringruns/{recurring_run_id}",
            "DELETE",
            path_params={"recurring_run_id": one.recurring_run_id},
            query_params=[("propagation_policy", "ORPHAN")],
            response_type="object",
        )
    except KubeflowError as error:
        if error.status != 404:  # it is gone already
            raise


def _link(kubeflow: Kubeflow, recurring_run_id: str) -> str:
    return kubeflow.connection.link(f"recurringrun/details/{recurring_run_id}")


def _last_run(kubeflow: Kubeflow, one: Schedule) -> str:
    """Returns state, time and address of the last run, if it is among the last hundred."""
    page = kubeflow.client.list_runs(
        experiment_id=one.settings.experiment_id, sort_by="created_at desc", page_size=100
    )
    for run in page.runs or []:
        if run.recurring_run_id == one.recurring_run_id:
            link = kubeflow.connection.link(f"runs/details/{run.run_id}")
            return f"{(run.state or 'pending').lower()}, {run.created_at}, {link}"
    return "none yet"


def _to_schedule(kubeflow: Kubeflow, run: Any) -> Schedule:
    """Reads kfp's RecurringRun; servers leave out what is empty or false."""
    cron = run.trigger.cron_schedule if run.trigger else None
    reference, runtime = run.pipeline_version_reference, run.runtime_config
    settings = Settings(
        experiment_id=run.experiment_id or "",
        cron=(cron.cron or "") if cron else "",
        pipeline_id=(reference.pipeline_id or "") if reference else "",
        version_id=(reference.pipeline_version_id or "") if reference else "",
        parameters=(runtime.parameters or {}) if runtime else {},
        pipeline_root=(runtime.pipeline_root or "") if runtime else "",
        max_concurrency=int(run.max_concurrency or 0),
        no_catchup=bool(run.no_catchup),
    )
    run_id = kubeflow.id_of(run, "recurring_run_id")
    enabled = run.status == "ENABLED" if run.status else run.mode == "ENABLE"
    created = run.created_at or _LONG_AGO
    return Schedule(run_id, settings, enabled, created, _link(kubeflow, run_id))


def _is_range(text: str, low: int, high: int, words: Mapping[str, int]) -> bool:
    """Tells whether a part of a field is a number, a name, a range, or one of these by steps."""
    found = _RANGE.fullmatch(text)
    if not found or (found["step"] and int(found["step"]) == 0):
        return False
    if found["all"]:
        return True
    ends = [
        words.get(end.upper(), int(end) if end.isdecimal() else -1)
        for end in (found["first"], found["last"] or found["first"])
    ]
    return low <= ends[0] <= ends[1] <= high
