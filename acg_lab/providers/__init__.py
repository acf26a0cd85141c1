"""Rules of providers' prompt caches as dated data, the matching models that they feed, prices and token counts."""
