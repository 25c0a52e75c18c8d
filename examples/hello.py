"""The smallest task: a function with a value in and a value out.

    roh run examples/hello.py --args '["world"]'
"""


def main(name="world"):
    print(f"greeting {name}")
    return f"Hello, {name}!"
