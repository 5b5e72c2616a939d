"""ProMerge+ and CutLER: class-agnostic detectors trained on masks that no human drew."""

import lazy_loader

# PyTorch takes seconds: each public name is imported when it is first used. The stub beside this
# file says where it is.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
