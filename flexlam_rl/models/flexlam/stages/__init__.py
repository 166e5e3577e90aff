"""Training stages of FlexLAM."""
