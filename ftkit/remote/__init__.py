"""Run a plan as a pipeline of a service, by the same functions that run it on one machine.

A platform turns a plan into a pipeline of three steps and follows it from the client, the machine where the command was given:

    trial     many processes     `trial`: load the data by the recipe, train the backbone with the values that the service
                                 proposed, leave a folder: trial.json, model/, valid.npy
    decide    one process        `decide`: write the trials of the service into a ledger (`collected`), train the repeats of
                                 `[search] confirm`, select on the validation rows, make the bundle, run the promotion tests against
                                 the champion, write the record, register a promoted bundle
    deploy    one process        `deploy`: roll a promoted bundle out and make it the champion; else check that the champion answers
    client    the client         `attend`: submit the pipeline or find it again, emit the events of the steps, merge their ledger,
                                 do the stages that only the client can do, and end with the Outcome, the report and the exit code of
                                 a local run

A platform implements how its service runs a pipeline (a `Pipeline`), how a step gets its arguments, and where a step logs metrics and
leaves folders. Two more modules of this package help with both:

    snapshot   the folder that the steps run with: recipe, wheels, local files, and a script for each step
    outline    the pipeline as `ftkit plan` shows it

    # submitting: the arguments of the scripts
    overrides = remote.step_overrides(plan) | {"dataset.path": "its path in the step"}     # and the recipe's text, plan.text
    left = remote.client_part(plan)

    # the script of a trial
    plan = remote.plan(text, overrides)
    values, seed = remote.values(plan, arguments), remote.seed(plan, number)
    trial = remote.trial(plan, Path("outputs"), work, number=number, values=values, seed=seed, log=log_metrics, emit=emit)

    # the script of the decision; `trials` is a list of remote.ServiceTrial, one for each trial that the service ran
    ledger = remote.ledger(text, work, run)                   # and take_over, if the ledger of an earlier attempt was kept
    remote.decide(plan, ledger, emit, remote.collected(trials, fetch_model), left)
    remote.pack(ledger, Path("outputs/run"))                  # for the next step

    # the script of the deployment
    ledger = remote.ledger(text, work, run)
    remote.take_over(ledger, folder_that_decide_left)
    remote.deploy(plan, ledger, emit, left)
    remote.pack(ledger, Path("outputs/run"))

    # the platform, a component with `confirms = True`
    def run(self, plan, emit):
        return remote.attend(plan, emit, ItsPipeline(self, plan))

Each of them may be killed and started again. A trial starts from the beginning or, with `[search] checkpoint`, from its latest
checkpoint: a platform that has a folder for them which outlives the machine declares `checkpoints = True`, and passes the folder to
`trial` and `collected`. A decision continues from its ledger or, if that is lost, comes to the same winner again, a rollout continues,
and the client finds its pipeline by the facts in its journal.

A registry or deployer may be on the client (its attribute `local` is true: a registry in a local file, an endpoint of the client). No
step can use it, so the steps leave the stages that need it to the client: with such a registry everything after the selection, with
such a deployer the rollout.
"""

from ftkit.remote.client import Pipeline, attend
from ftkit.remote.collection import Fetch, ServiceTrial, collected
from ftkit.remote.decision import ClientPart, client_part, decide, deploy, step_overrides
from ftkit.remote.event_log import parse, writer
from ftkit.remote.transfer import ledger, pack, plan, take_over
from ftkit.remote.trial_step import LogMetrics, read_trial, seed, trial, values

__all__ = [
    "ClientPart",
    "Fetch",
    "LogMetrics",
    "Pipeline",
    "ServiceTrial",
    "attend",
    "client_part",
    "collected",
    "decide",
    "deploy",
    "ledger",
    "pack",
    "parse",
    "plan",
    "read_trial",
    "seed",
    "step_overrides",
    "take_over",
    "trial",
    "values",
    "writer",
]
