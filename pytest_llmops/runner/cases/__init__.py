"""The cases of a run: tasks, their execution, and the results that processes share."""
