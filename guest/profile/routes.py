"""Graphs in dictionaries: `heapq`, `deque`, sets and tuples."""

import heapq
from collections import defaultdict, deque


def town(size):
    streets = defaultdict(dict)
    for x in range(size):
        for y in range(size):
            for dx, dy in ((1, 0), (0, 1)):
                other = (x + dx, y + dy)
                if other[0] < size and other[1] < size and (x * 31 + y * 17 + dx) % 7:
                    length = (x * 13 + y * 7) % 10 + 1
                    streets[(x, y)][other] = length
                    streets[other][(x, y)] = length
    return streets


def shortest(streets, start):
    lengths = {start: 0}
    heap = [(0, start)]
    while heap:
        length, here = heapq.heappop(heap)
        if length > lengths[here]:
            continue
        for there, more in streets[here].items():
            total = length + more
            if there not in lengths or total < lengths[there]:
                lengths[there] = total
                heapq.heappush(heap, (total, there))
    return lengths


def steps(streets, start):
    seen, queue = {start: None}, deque([start])
    while queue:
        here = queue.popleft()
        for there in streets[here]:
            if there not in seen:
                seen[there] = here
                queue.append(there)
    return seen


def order(needs):
    done, result = set(), []

    def visit(name):
        if name in done:
            return
        done.add(name)
        for need in needs.get(name, ()):
            visit(need)
        result.append(name)

    for name in needs:
        visit(name)
    return result


def main():
    streets = town(26)
    lengths = shortest(streets, (0, 0))
    came = steps(streets, (0, 0))
    path, here = [], (25, 25)
    while here is not None:
        path.append(here)
        here = came.get(here)
    needs = {f"t{i}": [f"t{i * j}" for j in (2, 3, 5) if i * j < 1_500] for i in range(1, 1_500)}
    return [max(lengths.values()), len(path), len(order(needs))]
