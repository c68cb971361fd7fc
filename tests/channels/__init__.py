"""Ways to reach people besides Slack."""
