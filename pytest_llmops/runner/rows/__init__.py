"""
Rows of a JSONL file, or mappings alike, scored without an app: inputs and outputs are in them.

A row may hold `id, input, output, outputs, reference, references, contexts, retrieved, relevant`; what else
it holds, such as labels, is left alone.
"""
