"""Adapters that give the environments and policies the interfaces of other libraries."""
