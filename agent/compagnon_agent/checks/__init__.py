"""The evaluation of checks on this machine: one module for each resource, all of them native."""
