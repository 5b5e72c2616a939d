"""From masks to names in the App: groups, their names, a few labels for all."""
