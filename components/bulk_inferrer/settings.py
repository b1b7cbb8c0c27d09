"""What the command line needs to know of the stage; imports nothing."""

#: What may compute embeddings.
AUTO, TENSORFLOW, OPENVINO = ENGINES = ("auto", "tensorflow", "openvino")
