"""Slack: cards out, clicks in. A card shows everything that will run, or it carries no button to approve it."""
