"""The write wing's engine: gathers what hooks recorded and gets it into the store. Knows no job library and no database."""
