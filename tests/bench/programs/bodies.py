"""Attributes of objects: bodies that attract each other."""

import math


class Body:
    def __init__(self, x, y, vx, vy, mass):
        self.x, self.y, self.vx, self.vy, self.mass = x, y, vx, vy, mass

    def attract(self, other, time):
        dx, dy = other.x - self.x, other.y - self.y
        square = dx * dx + dy * dy + 0.01
        pull = time / (square * math.sqrt(square))
        self.vx += dx * other.mass * pull
        self.vy += dy * other.mass * pull

    def move(self, time):
        self.x += self.vx * time
        self.y += self.vy * time


def main():
    bodies = [Body(i, i * i % 7, 0.1 * i, -0.2 * i, 1 + i % 3) for i in range(8)]
    for _ in range(900):
        for body in bodies:
            for other in bodies:
                if other is not body:
                    body.attract(other, 0.001)
        for body in bodies:
            body.move(0.001)
    return round(sum(body.x + body.y for body in bodies), 9)
