"""Models of the FiftyOne zoo."""
