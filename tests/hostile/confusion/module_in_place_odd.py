# Things that have no attributes in the module's place.
# expect: invalid
import sys

sys.modules[__name__] = None
