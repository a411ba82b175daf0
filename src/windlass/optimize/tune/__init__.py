"""Finds the quickest way to serve a model within the accuracy and the latency that are asked for, by measuring."""
