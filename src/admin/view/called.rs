//! What clients are called, where their addresses may be told at all.

use super::super::{AdminState, live::Names};
use crate::{
    config::{ClientNames, Privacy},
    dns::Name,
    policy::{Client, Policy},
    query::{Pipeline, Reverse},
    query_log::{ClientLike, Search},
    settings::Settings,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{net::IpAddr, sync::Arc};

/// Addresses of the owner's that are looked for by one name.
const CALLED_MAX: usize = 256;

/// What is known of a client besides its address.
#[derive(Serialize, JsonSchema, Clone, PartialEq, Eq, Default, Debug)]
pub struct Called {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who says that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_by: Option<NameBy>,
    /// Its hardware address, if it is in this machine's own network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// Who says what a client is called.
#[derive(Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum NameBy {
    /// `[local]`.
    Owner,
    /// Whoever has the zone of its address, and may say anything.
    Ptr,
}

/// Has those asked who may be by what is configured then, by the steps that answers take.
pub fn names(pipeline: &Arc<Pipeline>, settings: &Arc<Settings>) -> Names {
    let (pipeline, settings) = (pipeline.clone(), settings.clone());
    Names::new(Box::new(move |address| {
        let pipeline = pipeline.clone();
        let reverse = match settings.config().admin.as_ref().map(|admin| admin.client_names) {
            None | Some(ClientNames::Own) => None,
            Some(ClientNames::Forwarded) => Some(Reverse::Forwarded),
            Some(ClientNames::Any) => Some(Reverse::Any),
        };
        Box::pin(async move {
            let Some(reverse) = reverse else { return Ok(None) };
            let name = pipeline.claimed_name(address, reverse).await.map_err(|_| ())?;
            Ok(name.map(|name| name.to_string()))
        })
    }))
}

/// What is known by now of a client, as it is told in the log. Nothing of one whose address isn't told: a name would tell
/// more. It never waits.
pub fn called(state: &AdminState, client: &str) -> Called {
    // What was recorded before `privacy` was set tells addresses yet.
    let address = client.parse::<IpAddr>().ok().filter(|_| may_tell(state));
    address.map_or_else(Called::default, |address| of(state, address))
}

/// Whether anybody is told which address has which name.
pub fn may_tell(state: &AdminState) -> bool {
    state.settings.config().query_log.privacy == Privacy::Full
}

/// The same of an address.
pub fn of(state: &AdminState, address: IpAddr) -> Called {
    let by_owner = || state.pipeline.own_name(address).map(|name| (name.to_string(), NameBy::Owner));
    let by_ptr =
        || asks_others(state).then(|| state.names.of(address)).flatten().map(|name| (name.to_string(), NameBy::Ptr));
    let (name, name_by) = by_owner().or_else(by_ptr).unzip();
    let mac = state.pipeline.hardware_address(address).map(shown_mac);
    Called { name, name_by, mac }
}

/// Whether others may say what clients are called.
fn asks_others(state: &AdminState) -> bool {
    state.settings.config().admin.as_ref().is_some_and(|admin| admin.client_names != ClientNames::Own)
}

/// A search for a client by what it is called finds its addresses, as far as names are known.
pub fn by_name(state: &AdminState, search: Search) -> Search {
    let Some(ClientLike::Told(part)) = search.client.as_ref().filter(|_| may_tell(state)) else { return search };
    let all = addresses_called(state, part);
    // What isn't called anything may be what privacy once left of a client.
    if all.is_empty() { search } else { Search { client: Some(ClientLike::Among(all)), ..search } }
}

/// Addresses of names with this text in them, in small letters, as far as they are known.
fn addresses_called(state: &AdminState, part: &str) -> Vec<IpAddr> {
    let mut all = state.pipeline.addresses_called(part, CALLED_MAX);
    if asks_others(state) {
        all.extend(state.names.addresses_called(part));
    }
    all
}

/// Addresses of the client of this name: as the owner has it; else of that whole name, or of its first labels; else of names
/// with it in them.
pub fn addresses_named(state: &AdminState, typed: &str) -> Vec<IpAddr> {
    let part = typed.trim().trim_end_matches('.').to_lowercase();
    let owners = part.parse::<Name>().map(|name| state.pipeline.own_addresses(&name)).unwrap_or_default();
    if !owners.is_empty() || part.is_empty() {
        return owners;
    }
    let all = addresses_called(state, &part);
    let is_named = |address: &&IpAddr| {
        let name = of(state, **address).name.unwrap_or_default().to_lowercase();
        name.strip_prefix(&part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let named: Vec<IpAddr> = all.iter().filter(is_named).copied().collect();
    if named.is_empty() { all } else { named }
}

/// A client of which the address is known, as its group is told.
pub fn client_at(pipeline: &Pipeline, policy: &Policy, address: IpAddr) -> Client<'static> {
    let mac = if policy.needs_mac() { pipeline.hardware_address(address) } else { None };
    Client { address, id: None, mac, group: None, tcp: false }
}

fn shown_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

impl Called {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The name, with who says so if that isn't the owner.
    pub fn name_told(&self) -> Option<String> {
        self.name.as_ref().map(|name| match self.name_by {
            Some(NameBy::Ptr) => format!("{name} by PTR"),
            _ => name.clone(),
        })
    }

    /// In words, without the address.
    pub fn text(&self) -> String {
        [self.name_told(), self.mac.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
