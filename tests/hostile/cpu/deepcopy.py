# Copies of a graph of shared objects.
# expect: timeout
import copy


def main():
    graph = [{"next": None, "row": list(range(20))} for _ in range(500)]
    for a, b in zip(graph, graph[1:]):
        a["next"] = b["row"]
    while True:
        graph = copy.deepcopy(graph)
