"""Dictionaries and strings: how often which word occurs in a text."""


def main():
    names = ["alpha", "beta", "gamma", "delta", "epsilon"]
    text = " ".join(names[i * 3 % 5] + str(i % 97) for i in range(60_000))
    counts = {}
    for word in text.split():
        word = word.strip("0").upper()
        counts[word] = counts.get(word, 0) + 1
    return max(sorted(counts.items()), key=lambda item: item[1])
