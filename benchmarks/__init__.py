"""Measures ftkit beside the original, well-tuned peers and the machine's limit, in one run.

python -m benchmarks train|serve|search|data|overhead [--data PATH] [--rows N] [--json FILE]

train.py      fine-tuning: speed, memory and quality         trainers.py   the contenders, each in a process of its own
                                                             product.py    the matrix product's peak, which is the limit
serve.py      requests: latency, throughput, cold start      servers.py    the servers
                                                             load.py       the clients
                                                             original/     the original's scoring script
                                                             pipeline.py   a plain pipeline behind FastAPI
search.py     the bandit policy: what it saves, and whether the same trial wins
data.py       tables: seconds and memory of reading, cleaning, splitting, storing and tokenising
overhead.py   commands, and a run with a trivial model: what remains is ftkit's own cost
faults.py     kills of whole runs: fault_scenes.py, fault_moments.py, fault_clients.py, fault_facts.py
gate.py       how often promotion tests err
telemetry.py  what telemetry costs a request

command.py    the options that all have       turns.py     processes that take turns
rows.py       texts and labels                bundles.py   a bundle to serve
results.py    tables, bars and JSON           memory.py    peak memory of a process and its children
"""
