"""From running to desired. Pure: compares two values and returns the steps between them."""
