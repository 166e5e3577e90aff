"""The continuous prior: generates all slot vectors of a block in one pass, with LaMo's heads."""
