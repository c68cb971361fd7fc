"""Channels: other ways to reach people than Slack."""
