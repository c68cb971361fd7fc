// The console's only script. Every page works by itself; this keeps it current, and notices what has been on the screen.
