//! How many connections one client address may have open.
//!
//! Asked once per connection, never per request. What counts as the address is for the caller to
//! say: behind a proxy that tells the client's, that one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::Mutex;

/// The bits of an IPv6 address that name a customer's network; the rest is the customer's choice.
const IPV6_PREFIX_BITS: u32 = 64;

/// Connections by address. It has an entry only for addresses with open connections, so that
/// their number bounds it.
#[derive(Debug)]
pub(super) struct Addresses {
    /// 0: any number.
    most: usize,
    exempt: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place among those of its address, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Option<(Arc<Addresses>, IpAddr)>,
}

impl Addresses {
    /// `most` connections per address, any number where it is 0 or `exempt` contains the address.
    pub(super) fn new(most: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self {
            most,
            exempt,
            open: Mutex::default(),
        })
    }

    /// A place for one more connection from `address`; none where it has all it may have.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        if self.most == 0 || self.exempt.iter().any(|net| net.contains(&address)) {
            return Some(Place { taken: None });
        }
        let address = network(address);
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            taken: Some((Arc::clone(self), address)),
        })
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let mask = u128::MAX << (u128::BITS - IPV6_PREFIX_BITS);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((addresses, address)) = self.taken.take() else {
            return;
        };
        if let Entry::Occupied(mut count) = addresses.open.lock().entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_no_more() {
        let addresses = Addresses::new(2, vec![]);
        let first = addresses.enter(address("192.0.2.1"));
        let second = addresses.enter(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(address("192.0.2.1")).is_none());
        assert!(addresses.enter(address("192.0.2.2")).is_some());
        drop(first);
        assert!(addresses.enter(address("192.0.2.1")).is_some());
        drop(second);
        assert!(addresses.open.lock().is_empty());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client() {
        let addresses = Addresses::new(1, vec![]);
        let place = addresses.enter(address("2001:db8:0:1::1"));
        assert!(place.is_some());
        assert!(addresses.enter(address("2001:db8:0:1:ffff::9")).is_none());
        assert!(addresses.enter(address("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn exempt_addresses_have_any_number_and_so_has_everybody_where_it_is_off() {
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let addresses = Addresses::new(1, exempt);
        let places: Vec<_> = (0..9)
            .map(|_| addresses.enter(address("127.0.0.1")))
            .collect();
        assert!(places.iter().all(Option::is_some));
        let off = Addresses::new(0, vec![]);
        let places: Vec<_> = (0..9).map(|_| off.enter(address("192.0.2.1"))).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(off.open.lock().is_empty());
    }
}
