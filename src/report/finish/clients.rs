//! Rows by client, and of the owner's exceptions.

use super::{Maker, top};
use crate::report::{
    Moment, Share,
    breakdown::ClientFacts,
    form::{BypassRow, ClientRow, ExceptionRow, Matrix, MatrixCell, Top},
};
use foldhash::{HashMap, HashMapExt as _};
use std::cmp::Reverse;

/// Clients of the matrix at most.
const MATRIX_CLIENTS_MAX: usize = 50;
/// What stands for a client that privacy left nothing of.
const UNKNOWN_CLIENT: &str = "(not kept)";

impl Maker<'_> {
    /// Clients with at least one query, by what `make` makes of them.
    fn by_client<R>(&self, make: impl Fn(String, &ClientFacts) -> Option<R>) -> Vec<R> {
        let with_names = (0u32..).zip(&self.all.clients);
        with_names.filter_map(|(client, facts)| make(self.client(client), facts)).collect()
    }

    fn client(&self, client: u32) -> String {
        let text = self.all.tally.clients.text(client);
        if text.is_empty() { UNKNOWN_CLIENT.to_owned() } else { text.to_owned() }
    }

    pub(super) fn clients(&self) -> Top<ClientRow> {
        let rows = self.by_client(|client, facts| {
            let [blocked, would_block, excepted] = facts.counts.0;
            Some(ClientRow {
                client,
                queries: Share::new(facts.queries, self.totals.queries),
                names: Share::new(facts.names.len() as u64, self.totals.names),
                blocked,
                would_block,
                excepted,
                hit: Share::new(facts.counts.hits(), facts.queries),
                bypass: facts.bypass.values().sum(),
                first: Moment(facts.first?),
                last: Moment(facts.last?),
            })
        });
        top(rows, |a, b| {
            (Reverse(a.hit.part), Reverse(a.queries.part), &a.client).cmp(&(
                Reverse(b.hit.part),
                Reverse(b.queries.part),
                &b.client,
            ))
        })
    }

    pub(super) fn matrix(&self) -> Matrix {
        let mut programs: Vec<(usize, u64, &str)> = (self.all.programs.rows.iter().enumerate())
            .filter(|(_, (_, group))| group.first.is_some())
            .map(|(at, (program, group))| (at, group.counts.hits(), *program))
            .collect();
        programs.sort_unstable_by_key(|(_, hits, program)| (Reverse(*hits), *program));
        let mut sums: HashMap<u32, u64> = HashMap::new();
        for ((client, _), group) in &self.all.matrix.rows {
            *sums.entry(*client).or_default() += group.counts.0.iter().sum::<u64>();
        }
        let mut clients: Vec<(Reverse<u64>, String, u32)> =
            sums.into_iter().map(|(client, sum)| (Reverse(sum), self.client(client), client)).collect();
        clients.sort_unstable();
        let clients_there_are = clients.len() as u64;
        clients.truncate(MATRIX_CLIENTS_MAX);
        let cell = |client: u32, program: usize| {
            let [blocked, would_block, excepted] =
                self.all.matrix.find(&(client, program)).map_or([0; 3], |group| group.counts.0);
            MatrixCell { blocked, would_block, excepted }
        };
        let row = |client: u32| programs.iter().map(|(program, ..)| cell(client, *program)).collect();
        Matrix {
            cells: clients.iter().map(|(.., client)| row(*client)).collect(),
            programs: programs.iter().map(|(.., program)| (*program).to_owned()).collect(),
            clients: clients.into_iter().map(|(_, client, _)| client).collect(),
            clients_there_are,
        }
    }

    pub(super) fn bypass(&self) -> Top<BypassRow> {
        let rows = self.by_client(|client, facts| {
            let by_name =
                facts.bypass.iter().map(|(name, queries)| (Reverse(*queries), self.all.tally.names.text(*name)));
            let (_, most_asked) = by_name.min()?;
            Some(BypassRow {
                client,
                attempts: Share::new(facts.bypass.values().sum(), facts.queries),
                names: facts.bypass.keys().filter(|name| self.all.named(**name).is_some()).count() as u64,
                most_asked: most_asked.to_owned(),
            })
        });
        top(rows, |a, b| b.attempts.part.cmp(&a.attempts.part).then_with(|| a.client.cmp(&b.client)))
    }

    pub(super) fn exceptions(&self) -> Vec<ExceptionRow> {
        let mut rows = self.rows(&self.all.exceptions, |_, place, group, hits| ExceptionRow {
            place: (*place).to_owned(),
            queries: Share::new(group.counts.0.iter().sum(), self.totals.queries),
            first: hits.first,
            last: hits.last,
        });
        rows.sort_by(|a, b| b.queries.part.cmp(&a.queries.part).then_with(|| a.place.cmp(&b.place)));
        rows
    }
}
