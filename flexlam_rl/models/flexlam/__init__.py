"""FlexLAM: transition encoder, FSQ slots with a retained prefix, flow decoder, sequence model and translator."""
