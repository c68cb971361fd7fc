"""The story that `./run demo` tells: a real broker, a little town, an agent that works there, and people who answer."""
