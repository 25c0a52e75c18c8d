# A name that is like very many others.
# expect: failed
# error: NameError
def main():
    scope = {f"name_{n}": n for n in range(50_000)}
    exec("name_x", scope)
