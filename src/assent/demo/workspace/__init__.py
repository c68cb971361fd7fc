"""A stand-in for Slack: a real HTTP and WebSocket server that our real client talks to, as strict as Slack is.

    async with serving(Workspace(...)) as slack:     # slack.url is the page with the cards, slack.api the Web API

It refuses what Slack refuses (limits of blocks, unknown arguments, missing scopes, too many messages a second, expired
triggers, clicks on buttons that no revision had), so that nothing passes here that would fail there. Nothing of it is
made to be fast, and nothing of it is reachable from another machine.
"""
