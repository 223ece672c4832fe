//! Who is heard and what is said to everybody: by what name, in what bounds, under which headers.
//! It asks nobody, and knows no page.

mod bounds;
mod headers;
mod host;

pub use bounds::{
    BODY_BYTES_MAX, CONNECTION_WITHIN, CONNECTIONS_MAX, CONNECTIONS_OF_ADDRESS_MAX, CONNECTIONS_OF_PROXY_MAX,
    HEAD_BYTES_MAX, SEND_WITHIN, bounded,
};
pub use headers::{AlsoAsks, IsTls, with_headers};
pub use host::{Hosts, IsName, by_name};
