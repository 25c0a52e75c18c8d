# Arguments as JSON can have them.
# expect: succeeded
# result: ["\u0000", {"": {"": null}}, -0.0, 12345678901234567890123456789012345678901234567890]
# args: ["\u0000", {"": {"": null}}, -0.0, 12345678901234567890123456789012345678901234567890]
def main(*arguments):
    return list(arguments)
