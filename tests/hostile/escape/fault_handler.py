# A module that is there to crash.
# expect: succeeded
import faulthandler


def main():
    for name in (
        "_sigsegv",
        "_sigabrt",
        "_sigfpe",
        "_read_null",
        "_stack_overflow",
        "_fatal_error_c_thread",
    ):
        try:
            getattr(faulthandler, name)()
        except AttributeError:
            pass
