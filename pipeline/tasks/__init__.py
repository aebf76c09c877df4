"""Where kinds meet by name: from a task or model of a scenario to what it is in each part of a run.

One module a part, because the fingerprint of a step is what it can reach: a change of what answers requests trains
nothing again.
"""
