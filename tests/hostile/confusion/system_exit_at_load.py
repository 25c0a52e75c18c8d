# Leaves while it is loaded.
# expect: failed
# error: SystemExit
raise SystemExit
