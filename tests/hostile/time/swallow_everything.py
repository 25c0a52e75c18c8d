# Nothing that is raised ends it.
# expect: timeout
def main():
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
