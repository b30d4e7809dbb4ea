//! The demo: a small multilingual CMS as the origin.

pub mod cms;
