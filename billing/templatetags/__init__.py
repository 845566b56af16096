"""What the templates of billing draw with."""
