"""RetrievalEvaluator: does the embedding find clips of the same class in other videos?"""
