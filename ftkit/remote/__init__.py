"""Parts of a plan carried out elsewhere, by the very functions that carry it out on one machine.

A cloud platform turns a plan into a pipeline of three steps and attends it from the machine where the command was given:

    trial     many processes     `trial`: load the data by the recipe, train the backbone with the values that the service
                                 proposed, leave a folder: trial.json, model/, valid.npy
    decide    one process        `decide`: take the trials as they come from the service into a ledger (`gathered`), train the
                                 repeats that `[search] confirm` asks for, select on the validation rows, make the bundle, hear the
                                 promotion tests against the champion, write the record, register what was promoted
    deploy    one process        `deploy`: roll a promoted bundle out and make it the champion; else see that the champion answers
    client    this machine       `attend`: submit or find again, pass on what the steps tell, take over the ledger that comes back,
                                 do what only this machine can, and end with the Outcome, the report and the exit code of a local run

What a platform writes itself: how its service is told of the pipeline (a `Pipeline`), and how a step gets arguments from it and
metrics and folders to it. Two modules beside this one help with both:

    snapshot   the folder that the steps run with: recipe, wheels, local files, and a script for each step
    outline    what `ftkit plan` shows

    # submitting: what the scripts are given
    overrides = remote.travelling(plan) | {"dataset.path": "where it lies there"}     # and the recipe's text, plan.text
    left = remote.left_over(plan)

    # the script of a trial
    plan = remote.plan(text, overrides)
    values, seed = remote.values(plan, arguments), remote.seed(plan, number)
    trial = remote.trial(plan, Path("outputs"), work, number=number, values=values, seed=seed, log=log_metrics, emit=tell)

    # the script of the decision; `arrived` is a list of remote.Arrived, one for each trial that the service ran
    ledger = remote.ledger(text, work, run)                   # and take_over, if an earlier attempt's was kept
    remote.decide(plan, ledger, tell, remote.gathered(arrived, fetch_model), left)
    remote.pack(ledger, Path("outputs/run"))                  # what travels on

    # the script of the deployment
    ledger = remote.ledger(text, work, run)
    remote.take_over(ledger, folder_that_decide_left)
    remote.deploy(plan, ledger, tell, left)
    remote.pack(ledger, Path("outputs/run"))

    # the platform, a component with `confirms = True`
    def run(self, plan, emit):
        return remote.attend(plan, emit, ItsPipeline(self, plan))

Each of them may be killed and given again: a trial begins anew, a decision goes on from its ledger if that was kept and comes to the
same winner if not, a rollout goes on where it was, and the client finds its pipeline by what it wrote into its journal.

A registry or deployer may live on the machine of the command (an attribute `local` that is true: a registry in a local file, an
endpoint of this machine). No step elsewhere can use it, so the steps leave to the client whatever needs it: with such a
registry all that follows the selection, with such a deployer the rollout.
"""

from ftkit.remote.client import Pipeline, attend
from ftkit.remote.collection import Arrived, Fetch, gathered
from ftkit.remote.decision import Left, decide, deploy, left_over, travelling
from ftkit.remote.event_log import parse, writer
from ftkit.remote.transfer import ledger, pack, plan, take_over
from ftkit.remote.trial_step import LogMetrics, arrived, seed, trial, values

__all__ = [
    "Arrived",
    "Fetch",
    "LogMetrics",
    "Left",
    "Pipeline",
    "arrived",
    "attend",
    "decide",
    "deploy",
    "gathered",
    "ledger",
    "left_over",
    "pack",
    "parse",
    "plan",
    "seed",
    "take_over",
    "travelling",
    "trial",
    "values",
    "writer",
]
