"""What two or more services use and what holds no business rule. It knows no service."""
