"""What an account's state says: trend, measures, score, band, snapshot."""
