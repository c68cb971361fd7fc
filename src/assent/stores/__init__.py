"""Stores: the ledger on disk, its keys, its Merkle tree and the signals of one process."""
