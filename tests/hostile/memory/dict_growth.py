# A dictionary that grows by doubling.
# expect: out-of-memory
# profile: patient
def main():
    table = {}
    n = 0
    while True:
        table[n] = n = n + 1
