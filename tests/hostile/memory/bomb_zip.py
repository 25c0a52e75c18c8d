# An archive whose one file is larger than it says.
# expect: out-of-memory
# profile: patient
import io
import zipfile


def main():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("nothing", "w") as file:
            for _ in range(100):
                file.write(bytes(2**20))
    with zipfile.ZipFile(packed) as archive:
        return len(archive.read("nothing"))
