"""The jobs of the Default class, one file each; every job works on a list (design P1).

Up to `FEW` files in a pass, each is a task of its own with its own log lines, as the seed shows;
above that, a task per batch with one line at its start and one at its end (design §5).
"""
