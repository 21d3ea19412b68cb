"""From a document to its answer: parsed, priced, validated and executed, without I/O of its own."""
