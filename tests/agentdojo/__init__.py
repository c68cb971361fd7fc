"""AgentDojo's banking and travel suites, replayed through a broker; `python -m tests.agentdojo` does it by itself."""
