"""Measures ftkit beside the original, well-tuned peers and the machine's limit, in one run.

`python -m benchmarks` lists the measurements; README.md has what was found, with the commands.

train.py       fine-tuning: speed, memory and quality        trainers.py        the contenders, each in a process of its own
                                                             product.py         the matrix product's peak, which is the limit
tuning.py      parts of a model, layers computed again, a student of a teacher
quality.py     SST-2 sentences and TREC questions            datasets.py        a folder of recipes, beside linear models
tasks.py       an order of classes, pairs of texts           long_texts.py      ways to read long texts
                                                             multilingual.py    a checkpoint of pip packages
serve.py       requests: latency, throughput, cold start     servers.py         the servers
                                                             load.py            the clients
                                                             original/          the original's scoring script
                                                             pipeline.py        a plain pipeline behind FastAPI
search.py      the bandit policy: what it saves, and whether the same trial wins
data.py        tables: seconds and memory of reading, cleaning, splitting, storing and tokenising
overhead.py    commands, and a run with a trivial model: what remains is ftkit's own cost
processes.py   a trial of several processes                  checkpoint.py      checkpoints inside a trial
faults.py      kills of whole runs                           fault_*.py         scenes, moments, clients and facts
rollout.py     swaps and failing rollouts under load         open_loop.py, versions.py, recipe_run.py
overload.py    load beyond capacity                          unruly_clients.py  clients that misbehave
fuzz.py        damaged input                                 fuzzing/           its families
gate.py        how often promotion tests err                 abstain.py, canary.py   the same of promised risks and of rollouts
telemetry.py   what telemetry costs a request
gpu.sh         everything that needs a GPU

command.py     the options that all have       turns.py     processes that take turns
rows.py        texts and labels                bundles.py   a bundle to serve
results.py     tables, bars and JSON           memory.py    peak memory of a process and its children
"""
