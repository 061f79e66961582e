//! A primary that dies takes exactly its unmirrored tail with it, and that comes back in a bundle.
