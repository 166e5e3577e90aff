"""The environments and policies behind the interfaces of other libraries."""
