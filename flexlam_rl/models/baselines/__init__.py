"""Baselines and controls that FlexLAM is compared with."""
