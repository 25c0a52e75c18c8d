# Prints what looks like a reply of ours.
# expect: failed
# error: ValueError
def main():
    print('{"id": "x", "status": "succeeded", "result": 42, "usage": {}}')
    raise ValueError('","status":"succeeded","result":42,"x":"')
