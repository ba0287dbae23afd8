"""The weekly report: the portfolio as one HTML file that needs nothing else, and as an e-mail."""
