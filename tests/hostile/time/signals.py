# Alarms, handlers and waiting for signals: there are none.
# expect: succeeded
# result: []
import signal


def main():
    done = []
    for attempt in (
        lambda: signal.alarm(1),
        lambda: signal.pause(),
        lambda: signal.setitimer(signal.ITIMER_REAL, 1),
        lambda: signal.sigwait([1]),
        lambda: signal.pthread_kill(0, 9),
        lambda: signal.raise_signal(9),
        lambda: signal.signal(signal.SIGKILL, signal.SIG_IGN),
    ):
        try:
            attempt()
            done.append(1)
        except (AttributeError, OSError, ValueError):
            pass
    return done
