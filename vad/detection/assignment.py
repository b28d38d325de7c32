"""The linear assignment problem for the few boxes of a frame, without scipy, which live use need not have."""

from math import inf

import numpy as np


def assign(cost: np.ndarray, maximize: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Pairs rows with columns so that the sum of the costs of the pairs is as small as possible.

    By shortest augmenting paths (Crouse 2016, doi:10.1109/TAES.2016.140952): rows are added one after the
    other, and each takes the columns of earlier rows over as far as that lowers the sum. Of several best
    assignments, the result is that of scipy.optimize.linear_sum_assignment.

    Args:
        cost: [n, m], finite.
        maximize: whether the sum should be as large as possible instead.

    Returns:
        (rows, ascending, and their columns), int64 [min(n, m)] each.
    """
    n, m = cost.shape
    if not n or not m:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cost = np.asarray(cost, np.float64)
    if maximize:
        cost = -cost
    if n <= m:
        return np.arange(n), np.array(_columns(cost.tolist(), m), np.int64)
    rows = np.array(_columns(cost.T.tolist(), n), np.int64)
    order = rows.argsort()
    return rows[order], order


def _columns(cost: list[list[float]], m: int) -> list[int]:
    """The column of each of at most m rows. Works on lists, which are faster than arrays of this size."""
    of_row, of_column = [-1] * len(cost), [-1] * m
    # dual variables: cost - row_price - column_price is 0 for assigned pairs and never negative
    row_price, column_price = [0.0] * len(cost), [0.0] * m
    for start in range(len(cost)):
        # from `start` to each column, and the row before it on the way
        distance = [value - price for value, price in zip(cost[start], column_price, strict=True)]
        before = [start] * m
        nearest = min(distance)
        # of the nearest columns the first that is free, otherwise the last: the choice of scipy
        columns = [j for j, value in enumerate(distance) if value == nearest]
        column = next((j for j in columns if of_column[j] < 0), columns[-1])
        row = of_column[column]
        if row >= 0:
            reached = [column]
            remaining = list(range(m - 1, -1, -1))
            while True:
                remaining[remaining.index(column)] = remaining[-1]
                remaining.pop()
                costs, price = cost[row], row_price[row]
                lowest = inf
                for j in remaining:
                    through = nearest + costs[j] - price - column_price[j]
                    if through < distance[j]:
                        distance[j], before[j] = through, row
                    if distance[j] < lowest or (distance[j] == lowest and of_column[j] < 0):
                        lowest, column = distance[j], j
                nearest, row = lowest, of_column[column]
                if row < 0:
                    break
                reached.append(column)
            for j in reached:
                row_price[of_column[j]] += nearest - distance[j]
                column_price[j] -= nearest - distance[j]
        row_price[start] += nearest
        # along the path back to the start, each row hands its column on to the row before it
        while row != start:
            row = before[column]
            of_column[column] = row
            of_row[row], column = column, of_row[row]
    return of_row
