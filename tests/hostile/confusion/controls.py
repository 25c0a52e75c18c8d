# Characters that terminals and parsers trip over.
# expect: succeeded
# result: "\u0000\u001b[2J\u2028\u2029\ufeff\u202e\"\\</script>"
def main():
    print("\0\x1b[2J\x1b]0;title\a\u202e\r\n")
    return '\0\x1b[2J\u2028\u2029\ufeff\u202e"\\</script>'
