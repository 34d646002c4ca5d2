"""What every service is built from: HTTP, logs, metrics, settings."""
