"""The SDK: what an agent's process and a tool's service import. Standard library and `assent.core` only."""
