"""Explain the single neurons of a vision network as short weighted sums of concepts, and score the explanations.

The public names, in the order of the pipeline, stand in ``__init__.pyi``. Each is imported when it is first used, so
that ``import linexp`` and the command line's ``--help`` stay light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
