"""The continuous prior: slot vectors in one pass, by LaMo's heads."""
