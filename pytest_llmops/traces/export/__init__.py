"""
What leaves at the end of a run, only where the setting `export` asks for it: spans of cases and their scores.

Everything is masked before it is sent. What could not be sent is an error, since somebody waits for it.
"""
