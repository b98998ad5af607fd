"""What plugins import from ftkit: the values that pass between the stages of a run, and the protocols of components.

types          the values that flow: data, trials, verdicts, what a run ends with
released       what registries and deployers say of a promoted model: versions, deployments, endpoints
classifier     a trained model: texts in, class probabilities out
components     one Protocol per hook point, except that of platforms
plan           a recipe as values, and the platform that carries it out
capabilities   what a component or a classifier may do beyond its protocol; `capability_checks` asks for it
backbones      what a backbone declares of itself
checkpoints    a training that goes on where it was interrupted
processes      a trial of several processes
deciding       `[decision]`, and the rule of a bundle that is made of it
file_rows      a file read row by row with all its columns
distilling     a model that learns from another one
events         what happens in a run, with `search_events`, `rollout_events` and, as a block of code, `staging`
measures       what deployments did, by which a rollout judges; `copies` and `guarding` go with it
preference     why a cheaper model was selected than the best
policies       when the search stops a trial early
settings       `[search]` and `[rollout]`
tasks          who has a task, who knows which, and the metrics of each
space          the search-space language
monitoring     live requests and their watchers
"""

from ftkit.contracts.backbones import Described, Description, FittedAtOnce
from ftkit.contracts.capabilities import (
    Adapting,
    Confirming,
    Counting,
    EndingEarly,
    EngineChoosing,
    EpochTrained,
    Estimable,
    Exporting,
    FileReading,
    Foreseeing,
    Inspecting,
    Local,
    Mirroring,
    OfflineCapable,
    Paced,
    Packaging,
    Reading,
    Rehearsing,
    Requiring,
    Superseded,
    TextReading,
)
from ftkit.contracts.capability_checks import capable
from ftkit.contracts.checkpoints import Checkpointing, Checkpoints, Resumable, TrialInterrupted
from ftkit.contracts.classifier import Classifier, Probabilities
from ftkit.contracts.components import (
    Backbone,
    Component,
    Contender,
    Dataset,
    Deployer,
    EndTraining,
    ModelServer,
    PromotionPreset,
    PromotionTest,
    Registry,
    Report,
    SearchSpace,
    StopTrial,
)
from ftkit.contracts.copies import Comparing, Comparison
from ftkit.contracts.deciding import AnswerRule
from ftkit.contracts.distilling import CHAMPION, Distilling
from ftkit.contracts.events import Emit
from ftkit.contracts.file_rows import FileRows, RowReading, RowsPart
from ftkit.contracts.guarding import Guarding
from ftkit.contracts.measures import Measures, Measuring
from ftkit.contracts.plan import Platform, Publishing, Refusing, Searching
from ftkit.contracts.processes import Distributed, MultiProcess
from ftkit.contracts.tasks import Paired, PairReading, Tasked, TaskKnowing
from ftkit.contracts.types import (
    AUTO,
    NATIVE,
    SPLITS,
    TASKS,
    Data,
    DataReport,
    Deployment,
    Endpoint,
    Health,
    Inspection,
    Lineage,
    Outcome,
    Split,
    Spread,
    Status,
    Task,
    Trial,
    TrialState,
    Verdict,
    Version,
)
from ftkit.options import FolderOrId

__all__ = [
    "AUTO",
    "CHAMPION",
    "NATIVE",
    "SPLITS",
    "TASKS",
    "Adapting",
    "AnswerRule",
    "Backbone",
    "Checkpointing",
    "Checkpoints",
    "Classifier",
    "Comparing",
    "Comparison",
    "Component",
    "Confirming",
    "Contender",
    "Counting",
    "Data",
    "DataReport",
    "Dataset",
    "Deployer",
    "Deployment",
    "Described",
    "Description",
    "Distilling",
    "Distributed",
    "Emit",
    "EndTraining",
    "EndingEarly",
    "Endpoint",
    "EngineChoosing",
    "EpochTrained",
    "Estimable",
    "Exporting",
    "FileReading",
    "FileRows",
    "FittedAtOnce",
    "FolderOrId",
    "Foreseeing",
    "Guarding",
    "Health",
    "Inspecting",
    "Inspection",
    "Lineage",
    "Local",
    "Measures",
    "Measuring",
    "Mirroring",
    "ModelServer",
    "MultiProcess",
    "OfflineCapable",
    "Outcome",
    "Paced",
    "Packaging",
    "PairReading",
    "Paired",
    "Platform",
    "Probabilities",
    "PromotionPreset",
    "PromotionTest",
    "Publishing",
    "Reading",
    "Refusing",
    "Registry",
    "Rehearsing",
    "Report",
    "Requiring",
    "Resumable",
    "RowReading",
    "RowsPart",
    "SearchSpace",
    "Searching",
    "Split",
    "Spread",
    "Status",
    "StopTrial",
    "Superseded",
    "Task",
    "TaskKnowing",
    "Tasked",
    "TextReading",
    "Trial",
    "TrialInterrupted",
    "TrialState",
    "Verdict",
    "Version",
    "capable",
]
