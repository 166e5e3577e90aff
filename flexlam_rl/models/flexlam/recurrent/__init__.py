"""The recurrent prior: a GRU over frames and past blocks, and a head over the codes."""
