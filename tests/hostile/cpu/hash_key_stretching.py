# One call that is made to be slow.
# expect: timeout
import hashlib


def main():
    return hashlib.pbkdf2_hmac("sha512", b"password", b"salt", 2**31 - 1).hex()
