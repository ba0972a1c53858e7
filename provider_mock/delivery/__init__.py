"""Deliveries over real sockets.

Those who send, and why each is its own:

- `courier.Courier` sends signed requests now and waits for all replies: no clock, no plan, no retries. Checks and plans
  use it.
- `perform.Performer` executes plans: each step at its time by a clock that is handed in, in its order, on its connection,
  disturbed or not.
- `engine.Engine` delivers what a store holds by each provider's retry policy, on kept connections, for weeks; it hands
  deliveries that are to be disturbed to a performer.
- `load.engine` keeps as many requests under way as it is told to, or a rate, and remembers nothing of them: a loop of
  its own, for what the engine does for each delivery would be what is measured.
- `load.user` sends under Locust, whose greenlets would all be held up by a selector: so it has gevent's sockets.
- The command `traffic` hands each second's plan to a performer in a thread of its own, so that making the next second's
  events holds no delivery up.

All but Locust's users stand on the two clients in `sockets`: `Connections` (many requests at once, each as it should
be; by way of `Client` where each has a connection of its own), and `RawClient`, with `together`, on bare sockets, for
what no proper client does.
"""
