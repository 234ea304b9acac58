"""An in-context surrogate, meta-trained on recorded trials, beside the Gaussian process: which foretells better?"""
