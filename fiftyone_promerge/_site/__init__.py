"""What puts the two packages on the path where the project is not installed."""
