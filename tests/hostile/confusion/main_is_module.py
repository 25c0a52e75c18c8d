# A module.
# expect: invalid
import json as main
