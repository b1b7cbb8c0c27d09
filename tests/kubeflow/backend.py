"""What Kubeflow Pipelines' API server keeps and how it answers, v2beta1 as of 2.0 to 2.17.

Paths, names of fields, pages, filters, and what is rejected are those of the server; only what this
project asks for is there.
"""

import base64
import email
import itertools
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import yaml

V2, V1 = "/apis/v2beta1", "/apis/v1beta1"
SUCCESS = ({"plan": "SUCCEEDED"}, "SUCCEEDED", "")

_CREATED_AT = 1_800_000_000
#: What 2.0's messages have; others are an error.
_PIPELINE = {"display_name", "description", "namespace"}
_RUN = {
    "experiment_id", "display_name", "description", "pipeline_spec", "pipeline_version_reference",
    "runtime_config", "service_account",
}  # fmt: skip
_RECURRING_RUN = _RUN | {"max_concurrency", "trigger", "mode", "no_catchup"}

Json = dict[str, Any]


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Backend:
    """What is there, and what may be done with it.

    Attributes:
      pipelines, versions, experiments, runs, recurring_runs: by id, as JSON.
      files: what was uploaded, by version id.
      policies: of the deletions of recurring runs; "" ends runs that are under way.
      tag_name: the version, as healthz tells it.
      v1_only: whether there is no v2beta1.
      multi_user: whether there are namespaces.
      page_size: the most that a list has on one page.
      seconds_between: what is created, by the server's clock.
      history: of every run: tasks' states, the run's state and its error, one after the other.
    """

    def __init__(self) -> None:
        self.pipelines: dict[str, Json] = {}
        self.versions: dict[str, Json] = {}
        self.experiments: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.recurring_runs: dict[str, Json] = {}
        self.files: dict[str, bytes] = {}
        self.policies: list[str] = []
        self.v1_only = self.multi_user = False
        self.tag_name = "2.0.5"
        self.page_size = 200
        self.seconds_between = 1
        self.history: list[tuple[dict[str, str], str, str]] = [SUCCESS]
        self._steps: dict[str, int] = {}
        self._count = itertools.count()

    def do(self, method: str, path: str, query: Json, headers: Json, body: bytes) -> Json:
        """Returns the answer; raises Refused."""
        health = {"commit_sha": "0", "tag_name": self.tag_name, "multi_user": self.multi_user}
        if path == f"{V1}/healthz" or (path == f"{V2}/healthz" and not self.v1_only):
            return health
        if self.v1_only or not path.startswith(V2):
            raise Refused(404, "Not Found")
        given = json.loads(body) if body and "json" in headers.get("Content-Type", "") else {}
        routes: dict[str, Callable[..., Json]] = {
            "POST /pipelines": lambda: self._make_pipeline(given),
            "GET /pipelines": lambda: self._list("pipelines", self.pipelines, query),
            "POST /pipelines/upload_version": lambda: self._upload(query, headers, body),
            "GET /pipelines/([^/]+)/versions": lambda i: self._list(
                "pipeline_versions", self.versions, query, pipeline_id=i
            ),
            "POST /experiments": lambda: self._make_experiment(given),
            "GET /experiments": lambda: self._list("experiments", self.experiments, query),
            "POST /runs": lambda: self._make_run(given),
            "GET /runs": lambda: self._list("runs", self.runs, query),
            "GET /runs/([^/]+)": self._get_run,
            "POST /recurringruns": lambda: self._make_recurring_run(given),
            "GET /recurringruns": lambda: self._list("recurringRuns", self.recurring_runs, query),
            "POST /recurringruns/([^/]+):enable": lambda i: self._set_mode(i, "ENABLE"),
            "POST /recurringruns/([^/]+):disable": lambda i: self._set_mode(i, "DISABLE"),
            "DELETE /recurringruns/([^/]+)": lambda i: self._delete_recurring_run(i, query),
        }
        asked = f"{method} {path.removeprefix(V2)}"
        for route, act in routes.items():
            if found := re.fullmatch(route, asked):
                return _without_empties(act(*found.groups()))
        raise Refused(404, "Not Found")

    def _make(self, there: dict[str, Json], field: str, given: Json, known: set[str]) -> Json:
        if unknown := given.keys() - known:
            raise Refused(400, f'unknown field "{min(unknown)}"')
        if not given.get("display_name"):
            raise Refused(400, "name is empty")
        seconds = _CREATED_AT + next(self._count) * self.seconds_between
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        made = {**given, field: str(uuid.uuid4()), "created_at": created}
        there[made[field]] = made
        return made

    def _make_pipeline(self, given: Json) -> Json:
        self._check_new(self.pipelines, given)
        return self._make(self.pipelines, "pipeline_id", given, _PIPELINE)

    def _make_experiment(self, given: Json) -> Json:
        self._check_new(self.experiments, given)
        return self._make(self.experiments, "experiment_id", given, _PIPELINE)

    def _check_new(self, there: dict[str, Json], given: Json) -> None:
        if self.multi_user and not given.get("namespace"):
            raise Refused(400, "Invalid input error: namespace cannot be empty")
        if not self.multi_user:
            given.pop("namespace", None)
        name, namespace = given.get("display_name", ""), given.get("namespace")
        if any(
            (one["display_name"].lower(), one.get("namespace")) == (name.lower(), namespace)
            for one in there.values()
        ):
            raise Refused(409, f"AlreadyExistsError: the name {name} already exists")

    def _upload(self, query: Json, headers: Json, body: bytes) -> Json:
        message = email.message_from_bytes(
            b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
        )
        (part,) = message.get_payload()
        assert part.get_param("name", header="Content-Disposition") == "uploadfile"
        pipeline_id = query.get("pipelineid", "")
        if pipeline_id not in self.pipelines:
            raise Refused(400, "Failed to create a pipeline version")
        given = {"display_name": query["name"]}
        if (pipeline_id, query["name"]) in {
            (one["pipeline_id"], one["display_name"]) for one in self.versions.values()
        }:
            raise Refused(409, "Failed to create a pipeline version")
        made = self._make(self.versions, "pipeline_version_id", given, _PIPELINE)
        made["pipeline_id"] = pipeline_id
        self.files[made["pipeline_version_id"]] = part.get_payload(decode=True)
        return made

    def _make_run(self, given: Json) -> Json:
        self._check_run(given)
        made = self._make(self.runs, "run_id", given, _RUN)
        made["state"] = "PENDING"
        return made

    def _make_recurring_run(self, given: Json) -> Json:
        self._check_run(given)
        if len(given["trigger"]["cron_schedule"]["cron"].split()) != 6:
            raise Refused(400, "Schedule cron is not supported")
        made = self._make(self.recurring_runs, "recurring_run_id", given, _RECURRING_RUN)
        made["max_concurrency"] = str(made["max_concurrency"])
        made["namespace"] = self.experiments[made["experiment_id"]].get("namespace", "kubeflow")
        self._set_mode(made["recurring_run_id"], made["mode"])
        return made

    def _check_run(self, given: Json) -> None:
        if given.get("experiment_id") not in self.experiments:
            raise Refused(404, f"Experiment {given.get('experiment_id')} not found")
        reference = given["pipeline_version_reference"]
        version = self.versions.get(reference["pipeline_version_id"])
        if not version or version["pipeline_id"] != reference["pipeline_id"]:
            raise Refused(404, "PipelineVersion not found")
        spec = next(yaml.safe_load_all(self.files[version["pipeline_version_id"]]))
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        values = given["runtime_config"].get("parameters", {})
        if unknown := values.keys() - declared.keys():
            raise Refused(400, f"parameter(s) provided are not required: {min(unknown)}")
        needed = {
            name
            for name, one in declared.items()
            if not one.keys() & {"defaultValue", "isOptional"}
        }
        if missing := needed - values.keys():
            raise Refused(400, f"parameter {min(missing)} is not optional, yet has neither")

    def _get_run(self, run_id: str) -> Json:
        if run_id not in self.runs:
            raise Refused(404, f"Run {run_id} not found")
        step = self._steps.get(run_id, 0)
        self._steps[run_id] = step + 1
        tasks, state, error = self.history[min(step, len(self.history) - 1)]
        details = [
            {"run_id": run_id, "task_id": f"id-{name}", "display_name": name, "state": state}
            for name, state in tasks.items()
        ]
        self.runs[run_id] |= {"state": state, "run_details": {"task_details": details}}
        if error:
            self.runs[run_id]["error"] = {"code": 13, "message": error}
        return self.runs[run_id]

    def _set_mode(self, recurring_run_id: str, mode: str) -> Json:
        if recurring_run_id not in self.recurring_runs:
            raise Refused(404, f"Recurring run {recurring_run_id} not found")
        self.recurring_runs[recurring_run_id] |= {"mode": mode, "status": f"{mode}D"}
        return {}

    def _delete_recurring_run(self, recurring_run_id: str, query: Json) -> Json:
        self.policies.append(query.get("propagation_policy", ""))
        if self.recurring_runs.pop(recurring_run_id, None) is None:
            raise Refused(404, f"Recurring run {recurring_run_id} not found")
        return {}

    def _list(self, field: str, there: dict[str, Json], query: Json, **equal: str) -> Json:
        """Returns a page; MySQL compares without regard to case."""
        for name in ("namespace", "experiment_id"):
            if query.get(name) and (self.multi_user or name != "namespace"):
                equal[name] = query[name]
        if self.multi_user and not equal:
            raise Refused(400, "Invalid input error: namespace cannot be empty in multi-user mode")
        criteria = [query.get("filter", ""), query.get("sort_by", "")]
        start = 0
        if token := query.get("page_token"):
            start, *same = json.loads(base64.b64decode(token))
            if same != criteria:
                raise Refused(400, "page token does not match the supplied sort by and filtering")
        found = [one for one in there.values() if equal.items() <= one.items()]
        for predicate in json.loads(unquote_plus(criteria[0]) or "{}").get("predicates", []):
            if predicate["key"] != "display_name" or predicate["operation"] not in ("EQUALS", 1):
                raise Refused(400, f"cannot filter by {predicate}")
            name = predicate["stringValue"].lower()
            found = [one for one in found if one["display_name"].lower() == name]
        if criteria[1] == "created_at desc":
            found.reverse()
        end = start + min(int(query.get("page_size") or 20), self.page_size)
        more = base64.b64encode(json.dumps([end, *criteria]).encode()).decode()
        return {
            field: found[start:end],
            "total_size": len(found),
            "next_page_token": more if end < len(found) else "",
        }


def _without_empties(value: Any) -> Any:
    """Leaves out what protobuf leaves out; values of parameters are whole."""
    if isinstance(value, dict):
        pruned = {
            name: one if name == "parameters" else _without_empties(one)
            for name, one in value.items()
        }
        return {name: one for name, one in pruned.items() if one not in ("", None, False, [], {})}
    return [_without_empties(one) for one in value] if isinstance(value, list) else value
