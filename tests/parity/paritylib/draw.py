"""What the generators of random scenarios share: draws that come from the seed alone."""
import random


class Draw:
    """A source of random choices; the same seed gives the same ones."""

    def __init__(self, seed, kind=""):
        self.seed = seed
        self.r = random.Random(f"{kind} {seed}")

    def chance(self, percent):
        return self.r.random() * 100 < percent

    def one(self, choices):
        return self.r.choice(choices)

    def some(self, choices, low, high):
        """So many of them, none twice."""
        return self.r.sample(choices, min(len(choices), self.r.randint(low, high)))

    def several(self, choices, low, high):
        """So many draws; one may come again."""
        return [self.r.choice(choices) for _ in range(self.r.randint(low, high))]

    def settings(self, choices, low, high):
        """So many parameters of a table of their values."""
        return {name: self.r.choice(choices[name]) for name in self.some(sorted(choices), low, high)}


def main_cf(settings):
    """The text for the word main()."""
    return "".join(f"    {name} = {value}\n" for name, value in settings.items())
