"""A scenario that a whole run, also one in Airflow, goes through in seconds."""

TINY = """
name: demo
title: A tiny pair of shops
sources: [grocer]
target: florist
bridges: [users, item_features]
embedded: {variant: shops, users: 400, items: 120}
cold_start: true
split: {kind: time}
model: {dim: 8, text_buckets: 256}
training: {epochs: 1}
strategies:
  - tune: {kind: scratch}
  - {adapt: {kind: coral, epochs: 1}, tune: {kind: fine_tune}}
baselines:
  - {kind: popularity}
schedule: "0 2 * * *"
"""
