"""Paths that a person types into a form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from promerge_core import PromergeError


@pytest.fixture
def checks(database):
    from fiftyone_promerge.operators.framework import checks

    return checks


def test_home_is_expanded_and_that_of_nobody_stays(checks, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert checks.expanded("~/masks") == "/home/ada/masks"
    assert checks.expanded("~no-such-user/masks") == "~no-such-user/masks"


def test_a_folder_may_be_new_but_not_lead_through_a_file(checks, tmp_path):
    checks.check_output_folder(str(tmp_path))
    checks.check_output_folder(str(tmp_path / "a" / "b"))
    (tmp_path / "file").touch()
    for path, said in [("masks", "no absolute path"), (tmp_path / "file" / "a", "is a file")]:
        with pytest.raises(PromergeError, match=said):
            checks.check_output_folder(str(path))


def test_what_is_read_must_be_there(checks, tmp_path):
    checks.check_readable(str(tmp_path))
    with pytest.raises(PromergeError, match="on the machine that runs FiftyOne"):
        checks.check_readable(str(tmp_path / "gone"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_permissions_are_looked_at(checks, tmp_path):
    locked = Path(tmp_path, "locked")
    locked.mkdir(mode=0o000)
    with pytest.raises(PromergeError, match="may not be written to"):
        checks.check_output_folder(str(locked))
    with pytest.raises(PromergeError, match="may not be read"):
        checks.check_readable(str(locked))
