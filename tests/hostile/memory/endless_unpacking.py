# What is left over of something endless.
# expect: out-of-memory
# profile: patient
import itertools


def main():
    first, *rest = itertools.count()
