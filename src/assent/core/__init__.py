"""The pure heart of Assent: values in, values out; no clock, no randomness, no I/O."""
