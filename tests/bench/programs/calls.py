"""Calls of functions: the numbers of Fibonacci, the slow way."""


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def main():
    return fibonacci(26)
