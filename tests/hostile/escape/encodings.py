# Every codec that there is, and errors in every way.
# expect: succeeded
# result: null
# profile: patient
import encodings.aliases


def main():
    for name in {
        *encodings.aliases.aliases.values(),
        "undefined",
        "idna",
        "punycode",
        "unicode_escape",
    }:
        for errors in (
            "strict",
            "ignore",
            "replace",
            "surrogateescape",
            "surrogatepass",
            "namereplace",
            "nope",
        ):
            for text in (
                "\ud800\udfff\0\U0010ffff",
                "xn--" + "a" * 500,
                "\\N{" * 10,
                "\\U99999999",
            ):
                try:
                    text.encode(name, errors)
                except Exception:
                    pass
            for data in (b"\xff\xfe\xd8\x00", bytes(range(256)), b"+AAAA-\\N{x", b"\x1b$B\xff" * 9):
                try:
                    data.decode(name, errors)
                except Exception:
                    pass
