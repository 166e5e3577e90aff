"""ElasticTok's training stages."""
