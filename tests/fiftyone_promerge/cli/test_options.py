"""Flags made from declarations."""

from __future__ import annotations

import dataclasses

from promerge_core.registry import METHODS


def test_help_lists_every_parameter(promerge):
    shown = promerge.message(promerge("generate", "--help"))
    for method in METHODS.values():
        for field in dataclasses.fields(method.config):
            assert "--" + field.name.replace("_", "-") in shown
