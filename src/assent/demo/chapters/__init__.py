"""One file per chapter. Every chapter is a function over the scene that tells, checks, and raises NotAsTold."""
