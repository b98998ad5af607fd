"""What ftkit is measured by: the original, well-tuned peers, the machine's limit and ftkit, side by side in one run.

python -m benchmarks train|serve|search|overhead [--data PATH] [--rows N] [--json FILE]

train.py      fine-tuning: speed, memory and quality         trainers.py   who trains, each in a process of its own
                                                             product.py    the matrix product's peak, which is the limit
serve.py      requests: latency, throughput, cold start      servers.py    who answers
                                                             load.py       who asks
                                                             original/     the original's scoring script
                                                             pipeline.py   a plain pipeline behind FastAPI
search.py     the bandit policy: what it saves, and whether the same trial wins
overhead.py   commands and a run in which nothing is learned: what is left is ftkit's own cost
gate.py       how often promotion tests err
telemetry.py  what watching costs a request

command.py    the options that all have       turns.py     processes that take turns
rows.py       texts and labels                bundles.py   a bundle to serve
results.py    tables, bars and JSON           memory.py    what a process and its children hold
"""
