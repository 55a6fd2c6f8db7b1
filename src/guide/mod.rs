//! How to use ringway in a larger program. These pages have no code of their own.
//!
//! | page | read it if |
//! |---|---|
//! | [`patterns`] | you want many to one, one to many, request and answer, several rings at once, async, or video frames |
//! | [`forking`] | your program forks, or starts others by exec |
//! | [`restart`] | your processes are restarted, upgraded or killed |
//! | [`containers`] | your processes run in containers or sandboxes, or as different users |
//! | [`hostile_peers`] | a peer may write anything into the region |
//! | [`tuning`] | you measure |

#[doc = include_str!("containers.md")]
pub mod containers {}

#[doc = include_str!("forking.md")]
pub mod forking {}

#[doc = include_str!("hostile_peers.md")]
pub mod hostile_peers {}

#[doc = include_str!("patterns.md")]
pub mod patterns {}

#[doc = include_str!("restart.md")]
pub mod restart {}

#[doc = include_str!("tuning.md")]
pub mod tuning {}
