# A json module that lies has no say in the result.
# expect: succeeded
# result: {"a": 1}
import json
import json.encoder


def main():
    json.dumps = json.dump = json.encoder.JSONEncoder.encode = lambda *a, **k: '"lie"'
    json.JSONEncoder.iterencode = lambda *a, **k: iter(["lie"])
    return {"a": 1}
