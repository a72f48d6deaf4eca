"""What happened: one module per job library translates its life cycle into the words of `base`; each knows only its own library."""
