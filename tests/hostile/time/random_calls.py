# Time spent at once in host calls: random bytes by the mebibyte.
# expect: timeout
import os


def main():
    while True:
        os.urandom(2**20)
