//! What holds the parts of the repository apart and together. Fast, and needs nothing but the sources and cargo.

mod advisories;
mod circles;
mod dependencies;
mod limits;
mod named;
mod orphans;
