# A pattern with very many alternatives.
# expect: out-of-memory
# profile: patient
import re


def main():
    return (
        re.compile("|".join(f"[{chr(n)}-{chr(n + 50)}]+{n}" for n in range(200, 40_000)), re.I)
        is None
    )
