# 300 MiB of nothing, packed thrice.
# expect: out-of-memory
# profile: patient
import base64
import lzma
import zlib

BOMB = (
    "eNqruPX2wl3vyYkMbR+fm+pq5/ad0ZkhGhXNdc7xy9aQCTOORSxoLsqKWOCUuHKpmGKeaBePs66o4KnmwEU/Jwbp"
    "LUqZKGTYoyLEvcnEXKLDRdDvWYXzL+6mc3vePZbW+8HKH3v+rLDSFeuvRwSUvnkYOnV4rT2ueNpr5ZcegVTHyDKL"
    "p2e2rMmd3j/ndF2Z++PSK/kRcXP6d/90tK77MiNFZlVt9vbZW/pO+F9rvy/9eOqz/Gk3Pmr9vhP632O16aOm7GWf"
    "XC7OWX/ARsZqb4nNo8DEJ67N5z/v2nXwZt2u/CMm1XGhYgZmLlPTdkhf4na5/Hty82+TtaK7g2YLpZ1+X35cXC/j"
    "TunkXNlvt45Mm/9q1VLZdV9ll/U9+PLgeNrRG3Gb/5efdoy90Xy8O3X9Kd+ZgpN1T937t3nV8/dtVzayTquK9/R7"
    "t2L9rvNG70/yc8fXfd5Zrzphcoil4PT91sk/uy2v7t+fsfjeMz+dv79C/ie/SS1KXK90NmLSxT2l3TKl1+MLzz66"
    "b6O4PZOna97UWTMd0r0+aYYH310fbR5z9L/lXyXvt2ffTlq8RGVjwdE7sjKyKy6+fVN071pslDXb/2nnwpbwM7NJ"
    "JDQwDkPiRhTrZtO2bt/6g0l8Iu7dV1V9yvxkt60qcdr1nHfjzZy3kwS0XjfYVe22S737SvHKpO/sC/0CxABs9iac"
)


def main():
    return len(lzma.decompress(zlib.decompress(zlib.decompress(base64.b64decode(BOMB)))))
