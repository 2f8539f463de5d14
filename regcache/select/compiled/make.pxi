# How pickers are made. pure/picks.py

cdef dict KINDS = {
    "random": Random,
    "round_robin": Rounds,
    "weighted": Rounds,
    "p2c": TwoChoices,
    "peak_ewma": PeakEwma,
    "hash": Hash,
}


def make_picker(str strategy not None, peers, weights=None, *, before=None, seed=0):
    """A picker for these peers.

    Args:
        strategy: "random", "round_robin", "weighted", "p2c", "peak_ewma" or "hash".
        peers: at least one.
        weights: of each peer how many calls it gets in relation to the others, 0.0 (none, unless all are 0) to 1e9;
            None: all the same.
        before: the picker that this one replaces; the rounds go on where it would have.
        seed: of its random numbers.

    Raises:
        ValueError: no such strategy; no peers; another number of weights, or one out of its range.
    """
    kind = KINDS.get(strategy)
    if kind is None:
        raise ValueError(f"there is no strategy {strategy!r}; there are {', '.join(sorted(KINDS))}")
    return kind(some(peers), checked(weights, len(peers)), before, seed & MASK)


def own_picker(strategy, peers):
    """A picker of somebody's own strategy.

    Raises:
        ValueError: no peers.
        TypeError: what it prepared cannot be called.
        Anything that the strategy raises.
    """
    call = strategy.prepare(tuple(some(peers)))
    if not callable(call):
        raise TypeError(f"a strategy's prepare() returns something to call with a key, not {call!r}")
    return Own(peers, call)


cdef object some(object peers):
    if not peers:
        raise ValueError("a picker needs at least one peer")
    return peers


# None where all are the same.
cdef list checked(object weights, Py_ssize_t count):
    cdef list made
    cdef double weight
    if weights is None:
        return None
    made = [float(weight) for weight in weights]
    if len(made) != count:
        raise ValueError(f"{count} peers have {count} weights, not {len(made)}")
    for weight in made:
        if not 0.0 <= weight <= 1e9:
            raise ValueError(f"a weight is from 0.0 to {1e9:g}, not {weight!r}")
    return None if min(made) == max(made) else made
