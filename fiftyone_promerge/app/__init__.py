"""What the App and the command say of runs: how much there is to do, how long it takes."""
