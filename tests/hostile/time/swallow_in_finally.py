# Each end is a new start.
# expect: timeout
def main():
    while True:
        try:
            while True:
                pass
        finally:
            continue
