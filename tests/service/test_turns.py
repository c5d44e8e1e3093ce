from service.turns import Turns


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def next_of(turns: Turns, *clients: str) -> str:
    return min(clients, key=turns.seconds_of)


def test_few_costly_clips_weigh_as_much_as_many_cheap_ones() -> None:
    clock = Clock()
    turns = Turns(clock)
    for client in "ab":
        turns.enter(client)
    seconds = {"a": 6.0, "b": 1.0}
    served = []
    for _ in range(700):
        served.append(next_of(turns, "a", "b"))
        turns.begin(served[-1])
        clock.now += seconds[served[-1]]
        turns.end(served[-1])
    assert served.count("a") == 100
    assert served.count("b") == 600


def work(turns: Turns, clock: Clock, client: str, seconds: float) -> None:
    turns.begin(client)
    clock.now += seconds
    turns.end(client)


def test_the_time_of_what_runs_counts_while_it_runs() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.enter("a")
    turns.enter("b")
    turns.begin("a")
    turns.begin("a")
    clock.now += 3
    assert turns.running("a") == 2
    assert turns.seconds_of("a") == 6
    work(turns, clock, "b", 2)
    assert next_of(turns, "a", "b") == "b"
    turns.end("a")
    turns.end("a")
    clock.now += 100
    assert turns.seconds_of("a") == 10
    assert turns.running("a") == 0


def test_a_newcomer_is_next_and_has_saved_up_nothing() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.enter("a")
    work(turns, clock, "a", 50)
    turns.begin("a")
    turns.enter("b")  # for the first time
    clock.now += 0.1
    assert next_of(turns, "a", "b") == "b"
    turns.end("a")
    work(turns, clock, "b", 1)
    assert next_of(turns, "a", "b") == "a"
    turns.leave("b")
    assert turns.running("b") == 0
    work(turns, clock, "a", 1000)
    turns.enter("b")
    assert turns.seconds_of("b") == turns.seconds_of("a")  # and not 1000 behind it


def test_whoever_is_gone_is_forgotten() -> None:
    turns = Turns()
    for client in map(str, range(100)):
        turns.enter(client)
        turns.enter(client)
        turns.leave(client)
        turns.leave(client)
    assert not turns._clients
