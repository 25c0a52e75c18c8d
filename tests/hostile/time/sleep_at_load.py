# Sleeps before there is a function to call.
# expect: timeout
# says: wall limit
# profile: asleep
import time

time.sleep(3600)
