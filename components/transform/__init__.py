"""Transform: JPEG frames and class names to what the network sees."""
