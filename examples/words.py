"""Text analysis: documents in, numbers out, all of it JSON.

    roh run examples/words.py --function analyse --args '[["The cat sat.", "A cat ran!"]]'
"""

import re
import statistics
from collections import Counter

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
STOP_WORDS = frozenset("a an and are as at be by for from in is it of on or the to was with".split())


def analyse(documents, top=5):
    words = [[word.lower() for word in WORD.findall(text)] for text in documents]
    counts = Counter(word for document in words for word in document if word not in STOP_WORDS)
    lengths = [len(document) for document in words]
    return {
        "documents": len(documents),
        "words": sum(lengths),
        "words_per_document": round(statistics.fmean(lengths), 2) if lengths else 0,
        "most_common": [{"word": word, "count": count} for word, count in counts.most_common(top)],
    }
