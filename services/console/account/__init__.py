"""What the account page shows, worked out of the API's answers: pure functions, no markup."""
